package p1

import (
	"math"
	"time"

	"github.com/ashlar-wasm/ashlar/wasi/internal/sandbox"
	"github.com/ashlar-wasm/ashlar/wasi/internal/stream"
)

func fdAdviseFn(c *call) errno {
	d, e := c.file(c.args[0], fdAdvise)
	if e != success {
		return e
	}
	if uint32(c.args[3]) > uint32(sandbox.AdviceNoReuse) {
		return inval
	}
	return errnoOf(d.file.Advise(c.args[1], c.args[2], sandbox.Advice(c.args[3])))
}

func fdAllocateFn(c *call) errno {
	d, e := c.file(c.args[0], fdAllocate)
	if e != success {
		return e
	}
	return errnoOf(d.file.Allocate(c.args[1], c.args[2]))
}

func fdClose(c *call) errno {
	if _, e := c.get(c.args[0], 0); e != success {
		return e
	}
	c.remove(uint32(c.args[0]))
	return success
}

func fdRenumber(c *call) errno {
	d, e := c.get(c.args[0], 0)
	if e != success {
		return e
	}
	if _, e := c.get(c.args[1], 0); e != success {
		return e
	}
	from, to := uint32(c.args[0]), uint32(c.args[1])
	if from == to {
		return success
	}
	c.remove(to)
	delete(c.fds, from)
	c.fds[to] = d
	if from >= firstFree {
		c.free = min(c.free, from)
	}
	return success
}

func fdDatasyncFn(c *call) errno {
	d, e := c.get(c.args[0], fdDatasync)
	if e != success {
		return e
	}
	if d.file == nil {
		return flush(c, d)
	}
	return errnoOf(d.file.SyncData())
}

func fdSyncFn(c *call) errno {
	d, e := c.get(c.args[0], fdSync)
	if e != success {
		return e
	}
	if d.file == nil {
		return flush(c, d)
	}
	return errnoOf(d.file.Sync())
}

func flush(c *call, d *descriptor) errno {
	if d.out == nil {
		return inval
	}
	return errnoOf(stream.BlockingFlush(c.ctx, d.out))
}

// streamType is the file type of a standard stream.
func (d *descriptor) streamType() filetype {
	if d.terminal {
		return typeCharacterDevice
	}
	return typeUnknown
}

func fdFdstatGet(c *call) errno {
	d, e := c.get(c.args[0], 0)
	if e != success {
		return e
	}
	b, e := c.bytes(c.args[1], 24)
	if e != success {
		return e
	}
	ft := d.streamType()
	if d.file != nil {
		ft = filetypeOf[sandbox.RegularFile]
		if d.file.IsDir() {
			ft = filetypeOf[sandbox.Directory]
		}
	}
	clear(b)
	b[0] = byte(ft)
	le.PutUint16(b[2:], uint16(d.flags))
	le.PutUint64(b[8:], uint64(d.base))
	le.PutUint64(b[16:], uint64(d.inheriting))
	return success
}

func fdFdstatSetFlagsFn(c *call) errno {
	d, e := c.get(c.args[0], fdFdstatSetFlags)
	if e != success {
		return e
	}
	const kept = flagDsync | flagRsync | flagSync
	flags := fdflags(c.args[1])
	switch {
	case c.args[1]&^uint64(kept|flagAppend|flagNonblock) != 0:
		return inval
	case flags&kept != d.flags&kept && flags&kept != 0:
		return notsup // the host decides on these when it opens the file
	}
	d.flags = flags&^kept | d.flags&kept
	return success
}

func fdFdstatSetRights(c *call) errno {
	d, e := c.get(c.args[0], 0)
	if e != success {
		return e
	}
	base, inheriting := rights(c.args[1]), rights(c.args[2])
	if base&^d.base != 0 || inheriting&^d.inheriting != 0 {
		return notcapable
	}
	d.base, d.inheriting = base, inheriting
	return success
}

func (c *call) putFilestat(ptr uint64, st sandbox.Stat) errno {
	b, e := c.bytes(ptr, 64)
	if e != success {
		return e
	}
	clear(b)
	le.PutUint64(b, st.Device)
	le.PutUint64(b[8:], st.Inode)
	b[16] = byte(filetypeOf[st.Type])
	le.PutUint64(b[24:], st.Links)
	le.PutUint64(b[32:], st.Size)
	le.PutUint64(b[40:], nanos(st.Access))
	le.PutUint64(b[48:], nanos(st.Modify))
	le.PutUint64(b[56:], nanos(st.Change))
	return success
}

func fdFilestatGetFn(c *call) errno {
	d, e := c.get(c.args[0], fdFilestatGet)
	if e != success {
		return e
	}
	if d.file == nil {
		e := c.putFilestat(c.args[1], sandbox.Stat{Access: time.Unix(0, 0), Modify: time.Unix(0, 0), Change: time.Unix(0, 0)})
		if e == success {
			b, _ := c.bytes(c.args[1], 64)
			b[16] = byte(d.streamType())
		}
		return e
	}
	st, err := d.file.Stat()
	if err != nil {
		return errnoOf(err)
	}
	return c.putFilestat(c.args[1], st)
}

func fdFilestatSetSizeFn(c *call) errno {
	d, e := c.file(c.args[0], fdFilestatSetSize)
	if e != success {
		return e
	}
	return errnoOf(d.file.SetSize(c.args[1]))
}

// setTimes reads the timestamps and flags of a set_times function.
func setTimes(atim, mtim, flags uint64) (a, m sandbox.SetTime, e errno) {
	if flags&^15 != 0 || flags&3 == 3 || flags&12 == 12 {
		return a, m, inval
	}
	pick := func(ns, bits uint64) (t sandbox.SetTime) {
		switch bits & 3 {
		case 1:
			t.At = time.Unix(int64(ns/1e9), int64(ns%1e9))
		case 2:
			t.Now = true
		}
		return t
	}
	return pick(atim, flags), pick(mtim, flags>>2), success
}

func fdFilestatSetTimesFn(c *call) errno {
	d, e := c.get(c.args[0], fdFilestatSetTimes)
	if e != success {
		return e
	}
	if d.file == nil {
		return badf
	}
	a, m, e := setTimes(c.args[1], c.args[2], c.args[3])
	if e != success {
		return e
	}
	return errnoOf(d.file.SetTimes(a, m))
}

func fdPrestatGet(c *call) errno {
	d, e := c.get(c.args[0], 0)
	if e != success {
		return e
	}
	if !d.preopen {
		return badf
	}
	b, e := c.bytes(c.args[1], 8)
	if e != success {
		return e
	}
	clear(b)
	le.PutUint32(b[4:], uint32(len(d.name)))
	return success
}

func fdPrestatDirName(c *call) errno {
	d, e := c.get(c.args[0], 0)
	if e != success {
		return e
	}
	if !d.preopen {
		return badf
	}
	if c.args[2] < uint64(len(d.name)) {
		return nametoolong
	}
	b, e := c.bytes(c.args[1], uint64(len(d.name)))
	if e == success {
		copy(b, d.name)
	}
	return e
}

// readFile fills the buffers from offset on and returns how much there was.
func readFile(c *call, f *sandbox.Descriptor, bufs [][]byte, offset uint64) (uint64, errno) {
	var total uint64
	for _, b := range bufs {
		n, err := c.pieces(b, func(part []byte) (int, error) {
			n, err := f.ReadAt(part, offset)
			offset += uint64(n)
			return n, err
		})
		total += uint64(n)
		if err != nil && total == 0 {
			return 0, errnoOf(err)
		}
		if err != nil || n < len(b) {
			break
		}
	}
	return total, success
}

func fdPread(c *call) errno {
	d, e := c.seekable(c.args[0], fdRead)
	if e != success {
		return e
	}
	bufs, e := c.buffers(c.args[1], c.args[2])
	if e != success {
		return e
	}
	n, e := readFile(c, d.file, bufs, c.args[3])
	if e != success {
		return e
	}
	return c.put32(c.args[4], uint32(n))
}

// seekable is file, with the error for a stream that POSIX has.
func (c *call) seekable(fd uint64, need rights) (*descriptor, errno) {
	d, e := c.file(fd, need)
	if d, e := c.get(fd, 0); e == success && d.file == nil {
		return nil, spipe
	}
	return d, e
}

func fdReadFn(c *call) errno {
	d, e := c.get(c.args[0], 0)
	if e != success {
		return e
	}
	bufs, e := c.buffers(c.args[1], c.args[2])
	if e != success {
		return e
	}
	var n uint64
	switch {
	case d.out != nil:
		return badf
	case d.in != nil:
		if d.base&fdRead == 0 {
			return badf
		}
		n, e = readStream(c, d, bufs)
	default:
		if d, e = c.file(c.args[0], fdRead); e == success {
			n, e = readFile(c, d.file, bufs, d.position)
			d.position += n
		}
	}
	if e != success {
		return e
	}
	return c.put32(c.args[3], uint32(n))
}

func readStream(c *call, d *descriptor, bufs [][]byte) (uint64, errno) {
	var total uint64
	for _, b := range bufs {
		var got []byte
		var err error
		if total > 0 || d.flags&flagNonblock != 0 {
			got, err = d.in.Read(uint64(len(b)))
		} else {
			got, err = stream.BlockingRead(c.ctx, d.in, uint64(len(b)))
		}
		if err == stream.ErrClosed {
			return total, success
		}
		if err != nil {
			return total, errnoOf(err)
		}
		total += uint64(copy(b, got))
		if total == 0 {
			return 0, again
		}
		if len(got) < len(b) {
			break
		}
	}
	return total, success
}

// writeFile writes the buffers at offset, or at the end of the file.
func writeFile(c *call, d *descriptor, bufs [][]byte, offset uint64) (uint64, errno) {
	var total uint64
	for _, b := range bufs {
		n, err := c.pieces(b, func(part []byte) (n int, err error) {
			if d.flags&flagAppend != 0 {
				n, err = d.file.Append(part)
			} else {
				n, err = d.file.WriteAt(part, offset)
			}
			offset += uint64(n)
			return n, err
		})
		total += uint64(n)
		if err != nil && total == 0 {
			return 0, errnoOf(err)
		}
		if err != nil || n < len(b) {
			break
		}
	}
	return total, success
}

func fdPwrite(c *call) errno {
	d, e := c.seekable(c.args[0], fdWrite)
	if e != success {
		return e
	}
	bufs, e := c.buffers(c.args[1], c.args[2])
	if e != success {
		return e
	}
	n, e := writeFile(c, d, bufs, c.args[3])
	if e != success {
		return e
	}
	return c.put32(c.args[4], uint32(n))
}

func fdWriteFn(c *call) errno {
	d, e := c.get(c.args[0], 0)
	if e != success {
		return e
	}
	bufs, e := c.buffers(c.args[1], c.args[2])
	if e != success {
		return e
	}
	var n uint64
	switch {
	case d.in != nil:
		return badf
	case d.out != nil:
		if d.base&fdWrite == 0 {
			return badf
		}
		n, e = writeStream(c, d, bufs)
	default:
		if d, e = c.file(c.args[0], fdWrite); e == success {
			n, e = writeFile(c, d, bufs, d.position)
			d.position += n
			if n > 0 && d.flags&flagAppend != 0 {
				if st, err := d.file.Stat(); err == nil {
					d.position = st.Size
				}
			}
		}
	}
	if e != success {
		return e
	}
	return c.put32(c.args[3], uint32(n))
}

// writeStream writes the buffers as one piece, so that what a guest prints at
// once stays together.
func writeStream(c *call, d *descriptor, bufs [][]byte) (uint64, errno) {
	var piece []byte
	for _, b := range bufs {
		if len(bufs) == 1 {
			piece = b
			break
		}
		piece = append(piece, b[:min(len(b), stream.ChunkSize-len(piece))]...)
	}
	if d.flags&flagNonblock != 0 && len(piece) > 0 {
		free, err := d.out.CheckWrite()
		if err != nil {
			return 0, errnoOf(err)
		}
		if free == 0 {
			return 0, again
		}
		piece = piece[:min(uint64(len(piece)), free)]
	}
	if err := stream.WriteAll(c.ctx, d.out, piece); err != nil {
		return 0, errnoOf(err)
	}
	return uint64(len(piece)), success
}

func fdSeekFn(c *call) errno {
	d, e := c.seekable(c.args[0], 0)
	if e != success {
		return e
	}
	var from uint64
	need := fdSeek | fdTell
	switch uint32(c.args[2]) {
	case 0:
	case 1:
		from = d.position
		if c.args[1] == 0 {
			need = fdTell
		}
	case 2:
		st, err := d.file.Stat()
		if err != nil {
			return errnoOf(err)
		}
		from = st.Size
	default:
		return inval
	}
	if d.base&need != need {
		return notcapable
	}
	to := int64(from) + int64(c.args[1])
	if to < 0 || from > math.MaxInt64 {
		return inval
	}
	d.position = uint64(to)
	return c.put64(c.args[3], d.position)
}

func fdTellFn(c *call) errno {
	d, e := c.seekable(c.args[0], fdTell)
	if e != success {
		return e
	}
	return c.put64(c.args[1], d.position)
}
