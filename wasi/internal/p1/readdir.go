package p1

import (
	"slices"

	"github.com/ashlar-wasm/ashlar/wasi/internal/quota"
	"github.com/ashlar-wasm/ashlar/wasi/internal/sandbox"
)

// dirPosition is where a guest is in reading a directory. A cookie is the number
// of the entry to give next: "." is 0, ".." is 1. Entries given by the last call
// are kept, since the guest comes back for those its buffer cut off; going
// further back starts over.
type dirPosition struct {
	reader *sandbox.DirReader
	hold   *quota.Hold
	first  uint64 // number of recent[0]
	recent []sandbox.Entry
	ended  bool
}

func (p *dirPosition) close() {
	if p.reader != nil {
		p.reader.Close()
		p.reader = nil
		p.hold.Give()
	}
}

// maxRecent bounds the entries that are kept: a buffer that they fill may be of
// any size, and cuts off the last one.
const maxRecent = 256

// seek makes cookie the next entry.
func (p *dirPosition) seek(c *call, f *sandbox.Descriptor, cookie uint64) errno {
	if cookie == 0 || p.reader == nil || cookie < p.first || cookie > p.first+uint64(len(p.recent)) {
		p.close()
		hold, err := c.grants.Book.Take(c.ctx, quota.Files, 1)
		if err != nil {
			return nfile
		}
		r, err := f.ReadDir()
		if err != nil {
			hold.Give()
			return errnoOf(err)
		}
		*p = dirPosition{reader: r, hold: hold, first: 2}
	}
	for cookie > p.first {
		if len(p.recent) == 0 {
			c.goOn()
			if ok, err := p.more(); !ok {
				return errnoOf(err)
			}
		}
		p.recent = p.recent[1:]
		p.first++
	}
	return success
}

// more reads one more entry.
func (p *dirPosition) more() (bool, error) {
	for !p.ended {
		e, ok, err := p.reader.Next()
		switch {
		case err == sandbox.IllegalByteSequence:
			continue // a name that no guest could use
		case err != nil:
			return false, err
		case !ok:
			p.ended = true
		default:
			if len(p.recent) == maxRecent {
				p.recent = slices.Delete(p.recent, 0, maxRecent/2)
				p.first += maxRecent / 2
			}
			p.recent = append(p.recent, e)
			return true, nil
		}
	}
	return false, nil
}

// entry returns the entry of a number that is next or was given recently.
func (p *dirPosition) entry(n uint64) (e sandbox.Entry, ok bool, err error) {
	if n-p.first >= uint64(len(p.recent)) {
		if ok, err := p.more(); !ok {
			return e, false, err
		}
	}
	return p.recent[n-p.first], true, nil
}

func fdReaddirFn(c *call) errno {
	d, e := c.dir(c.args[0], fdReaddir)
	if e != success {
		return e
	}
	buf, e := c.bytes(c.args[1], c.args[2])
	if e != success {
		return e
	}
	cookie := c.args[3]
	if e := d.dir.seek(c, d.file, cookie); e != success {
		return e
	}
	used := 0
	var head [24]byte
	for used < len(buf) {
		c.goOn()
		var entry sandbox.Entry
		if cookie < 2 {
			st, err := d.file.Stat()
			if err != nil {
				return errnoOf(err)
			}
			entry = sandbox.Entry{Name: ".."[:cookie+1], Type: sandbox.Directory, Inode: st.Inode}
		} else {
			next, ok, err := d.dir.entry(cookie)
			if err != nil {
				return errnoOf(err)
			}
			if !ok {
				break
			}
			entry = next
		}
		cookie++
		le.PutUint64(head[:], cookie)
		le.PutUint64(head[8:], entry.Inode)
		le.PutUint32(head[16:], uint32(len(entry.Name)))
		le.PutUint32(head[20:], uint32(filetypeOf[entry.Type]))
		used += copy(buf[used:], head[:])
		used += copy(buf[used:], entry.Name)
	}
	return c.put32(c.args[4], uint32(used))
}
