//go:build unix && !linux

package sandbox

const pathOnly = 0

func haveOpenat2() bool { return false }

func openBeneath(int, string, int, int) (int, error) { return -1, Unsupported }

func resolveKernel(int, string, bool) (place, error) { return place{}, Unsupported }
