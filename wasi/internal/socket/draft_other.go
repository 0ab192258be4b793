//go:build !unix

package socket

func newDraft(v6 bool) (draft, error) { return newPlainDraft(v6) }
