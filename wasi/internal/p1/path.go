package p1

import (
	"github.com/ashlar-wasm/ashlar/wasi/internal/quota"
	"github.com/ashlar-wasm/ashlar/wasi/internal/sandbox"
)

// place reads a descriptor of a directory and a path relative to it from the
// arguments at i and from ptr on.
func (c *call) place(i, ptr int, need rights) (*descriptor, string, errno) {
	d, e := c.dir(c.args[i], need)
	if e != success {
		return nil, "", e
	}
	p, e := c.path(c.args[ptr], c.args[ptr+1])
	return d, p, e
}

const lookupFollow = 1

func pathCreateDirectoryFn(c *call) errno {
	d, p, e := c.place(0, 1, pathCreateDirectory)
	if e != success {
		return e
	}
	return errnoOf(d.file.Mkdir(p))
}

func pathFilestatGetFn(c *call) errno {
	d, p, e := c.place(0, 2, pathFilestatGet)
	if e != success {
		return e
	}
	st, err := d.file.StatAt(p, c.args[1]&lookupFollow != 0)
	if err != nil {
		return errnoOf(err)
	}
	return c.putFilestat(c.args[4], st)
}

func pathFilestatSetTimesFn(c *call) errno {
	d, p, e := c.place(0, 2, pathFilestatSetTimes)
	if e != success {
		return e
	}
	a, m, e := setTimes(c.args[4], c.args[5], c.args[6])
	if e != success {
		return e
	}
	return errnoOf(d.file.SetTimesAt(p, c.args[1]&lookupFollow != 0, a, m))
}

func pathLink(c *call) errno {
	d, p, e := c.place(0, 2, pathLinkSource)
	if e != success {
		return e
	}
	to, newPath, e := c.place(4, 5, pathLinkTarget)
	if e != success {
		return e
	}
	if c.args[1]&lookupFollow != 0 {
		return inval
	}
	return errnoOf(d.file.Link(p, to.file, newPath))
}

const (
	oflagCreat = 1 << iota
	oflagDirectory
	oflagExcl
	oflagTrunc
)

func pathOpenFn(c *call) errno {
	need := pathOpen
	oflags := uint32(c.args[4])
	if oflags&oflagCreat != 0 {
		need |= pathCreateFile
	}
	if oflags&oflagTrunc != 0 {
		need |= pathFilestatSetSize
	}
	d, p, e := c.place(0, 2, need)
	if e != success {
		return e
	}
	asked, flags := rights(c.args[5]), fdflags(c.args[7])
	out, e := c.bytes(c.args[8], 4)
	if e != success {
		return e
	}
	hold, err := c.grants.Book.Take(c.ctx, quota.Files, 1)
	if err != nil {
		return nfile
	}
	f, err := d.file.Open(p, sandbox.OpenFlags{
		Create:    oflags&oflagCreat != 0,
		Directory: oflags&oflagDirectory != 0,
		Exclusive: oflags&oflagExcl != 0,
		Truncate:  oflags&oflagTrunc != 0,
		Read:      asked&(fdRead|fdReaddir) != 0,
		Write:     asked&fdWrite != 0,
		Sync:      flags&(flagSync|flagRsync) != 0,
		DataSync:  flags&flagDsync != 0,
		NoFollow:  c.args[1]&lookupFollow == 0,
	})
	if err != nil {
		hold.Give()
		return errnoOf(err)
	}
	opened := &descriptor{file: f, flags: flags, hold: hold}
	if f.IsDir() {
		opened.flags = 0
		opened.base = d.inheriting & rightsDirectory
		opened.inheriting = d.inheriting
	} else {
		opened.base = d.inheriting & rightsFile &^ (fdRead | fdWrite)
		opened.base |= d.inheriting & asked & (fdRead | fdWrite)
	}
	le.PutUint32(out, c.add(opened))
	return success
}

func pathReadlinkFn(c *call) errno {
	d, p, e := c.place(0, 1, pathReadlink)
	if e != success {
		return e
	}
	target, err := d.file.Readlink(p)
	if err != nil {
		return errnoOf(err)
	}
	buf, e := c.bytes(c.args[3], c.args[4])
	if e != success {
		return e
	}
	return c.put32(c.args[5], uint32(copy(buf, target)))
}

func pathRemoveDirectoryFn(c *call) errno {
	d, p, e := c.place(0, 1, pathRemoveDirectory)
	if e != success {
		return e
	}
	return errnoOf(d.file.Rmdir(p))
}

func pathRename(c *call) errno {
	d, p, e := c.place(0, 1, pathRenameSource)
	if e != success {
		return e
	}
	to, newPath, e := c.place(3, 4, pathRenameTarget)
	if e != success {
		return e
	}
	return errnoOf(d.file.Rename(p, to.file, newPath))
}

func pathSymlinkFn(c *call) errno {
	target, e := c.path(c.args[0], c.args[1])
	if e != success {
		return e
	}
	d, p, e := c.place(2, 3, pathSymlink)
	if e != success {
		return e
	}
	return errnoOf(d.file.Symlink(target, p))
}

func pathUnlinkFileFn(c *call) errno {
	d, p, e := c.place(0, 1, pathUnlinkFile)
	if e != success {
		return e
	}
	return errnoOf(d.file.Unlink(p))
}
