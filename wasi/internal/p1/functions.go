package p1

import (
	"context"
	"io"

	"github.com/ashlar-wasm/ashlar/internal/engine"
	"github.com/ashlar-wasm/ashlar/wasi/internal/grant"
)

// functions are all but proc_exit, with their parameters: i for 32 bits, I for
// 64.
var functions = []struct {
	name   string
	params string
	run    func(*call) errno
}{
	{"args_get", "ii", func(c *call) errno { return c.putStrings(c.grants.Args, c.args[0], c.args[1]) }},
	{"args_sizes_get", "ii", func(c *call) errno { return c.putSizes(c.grants.Args, c.args[0], c.args[1]) }},
	{"environ_get", "ii", func(c *call) errno { return c.putStrings(c.environ(), c.args[0], c.args[1]) }},
	{"environ_sizes_get", "ii", func(c *call) errno { return c.putSizes(c.environ(), c.args[0], c.args[1]) }},
	{"clock_res_get", "ii", clockResGet},
	{"clock_time_get", "iIi", clockTimeGet},
	{"fd_advise", "iIIi", fdAdviseFn},
	{"fd_allocate", "iII", fdAllocateFn},
	{"fd_close", "i", fdClose},
	{"fd_datasync", "i", fdDatasyncFn},
	{"fd_fdstat_get", "ii", fdFdstatGet},
	{"fd_fdstat_set_flags", "ii", fdFdstatSetFlagsFn},
	{"fd_fdstat_set_rights", "iII", fdFdstatSetRights},
	{"fd_filestat_get", "ii", fdFilestatGetFn},
	{"fd_filestat_set_size", "iI", fdFilestatSetSizeFn},
	{"fd_filestat_set_times", "iIIi", fdFilestatSetTimesFn},
	{"fd_pread", "iiiIi", fdPread},
	{"fd_prestat_get", "ii", fdPrestatGet},
	{"fd_prestat_dir_name", "iii", fdPrestatDirName},
	{"fd_pwrite", "iiiIi", fdPwrite},
	{"fd_read", "iiii", fdReadFn},
	{"fd_readdir", "iiiIi", fdReaddirFn},
	{"fd_renumber", "ii", fdRenumber},
	{"fd_seek", "iIii", fdSeekFn},
	{"fd_sync", "i", fdSyncFn},
	{"fd_tell", "ii", fdTellFn},
	{"fd_write", "iiii", fdWriteFn},
	{"path_create_directory", "iii", pathCreateDirectoryFn},
	{"path_filestat_get", "iiiii", pathFilestatGetFn},
	{"path_filestat_set_times", "iiiiIIi", pathFilestatSetTimesFn},
	{"path_link", "iiiiiii", pathLink},
	{"path_open", "iiiiiIIii", pathOpenFn},
	{"path_readlink", "iiiiii", pathReadlinkFn},
	{"path_remove_directory", "iii", pathRemoveDirectoryFn},
	{"path_rename", "iiiiii", pathRename},
	{"path_symlink", "iiiii", pathSymlinkFn},
	{"path_unlink_file", "iii", pathUnlinkFileFn},
	{"poll_oneoff", "iiii", pollOneoff},
	{"proc_raise", "i", func(*call) errno { return notsup }},
	{"sched_yield", "", func(*call) errno { return success }},
	{"random_get", "ii", randomGet},
	// No socket can be granted, so that no descriptor is one.
	{"sock_accept", "iii", noSocket},
	{"sock_recv", "iiiiii", noSocket},
	{"sock_send", "iiiii", noSocket},
	{"sock_shutdown", "ii", noSocket},
}

func procExit(_ context.Context, _ engine.Memory, stack []uint64) {
	panic(grant.Exit{Code: uint32(stack[0])})
}

const (
	clockRealtime  = 0
	clockMonotonic = 1
)

func clockResGet(c *call) errno {
	if id := uint32(c.args[0]); id != clockRealtime && id != clockMonotonic {
		return inval
	}
	return c.put64(c.args[1], 1)
}

func clockTimeGet(c *call) errno {
	switch uint32(c.args[0]) {
	case clockRealtime:
		return c.put64(c.args[2], nanos(c.grants.Clock.Now()))
	case clockMonotonic:
		return c.put64(c.args[2], uint64(c.grants.Clock.Monotonic()))
	}
	return inval
}

func randomGet(c *call) errno {
	b, e := c.bytes(c.args[0], c.args[1])
	if e != success {
		return e
	}
	if _, err := c.pieces(b, func(part []byte) (int, error) { return io.ReadFull(c.grants.Random, part) }); err != nil {
		return eio
	}
	return success
}

func noSocket(c *call) errno {
	if _, e := c.get(c.args[0], 0); e != success {
		return e
	}
	return notsock
}
