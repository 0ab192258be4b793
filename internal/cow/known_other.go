//go:build !linux

package cow

// known is what is known of a mapping's pages: nothing here.
type known struct{}
