package socket

import (
	"sync"
	"syscall"
)

// option is a socket option with an integer value.
type option uint8

const (
	keepAlive    option = iota // 0 or 1
	keepIdle                   // seconds
	keepInterval               // seconds
	keepCount
	hopLimit
	receiveBuffer // bytes
	sendBuffer    // bytes
)

// controller reaches the descriptor of a socket.
type controller interface {
	Control(f func(fd uintptr)) error
}

func getOption(c controller, o option, v6 bool) (v int, err error) {
	level, name, ok := o.number(v6)
	if !ok {
		return 0, NotSupported
	}
	if e := c.Control(func(fd uintptr) { v, err = getInt(fd, level, name) }); e != nil {
		err = e
	}
	if doubledBuffers && (o == receiveBuffer || o == sendBuffer) {
		v /= 2
	}
	return v, coded(err)
}

func setOption(c controller, o option, v6 bool, v int) (err error) {
	level, name, ok := o.number(v6)
	if !ok {
		return NotSupported
	}
	if e := c.Control(func(fd uintptr) { err = setInt(fd, level, name, v) }); e != nil {
		err = e
	}
	return coded(err)
}

// noBroadcast keeps a socket from sending to all of a network at once.
func noBroadcast(c controller) (err error) {
	if e := c.Control(func(fd uintptr) { err = setInt(fd, syscall.SOL_SOCKET, syscall.SO_BROADCAST, 0) }); e != nil {
		err = e
	}
	return err
}

// keepAlives are the options that package net sets by itself on connections that
// it did not make.
var keepAlives = [...]option{keepAlive, keepIdle, keepInterval, keepCount}

// readKeepAlives returns their values.
func readKeepAlives(c controller, v6 bool) (values [len(keepAlives)]int, err error) {
	for i, o := range keepAlives {
		v, e := getOption(c, o, v6)
		if e != nil && err == nil {
			err = e
		}
		values[i] = v
	}
	return values, err
}

func writeKeepAlives(c controller, v6 bool, values [len(keepAlives)]int) (err error) {
	for i, o := range keepAlives {
		if e := setOption(c, o, v6, values[i]); e != nil && err == nil {
			err = e
		}
	}
	return err
}

// wanted are options for a socket that does not exist yet.
type wanted struct {
	mu  sync.Mutex
	set map[option]int
	v6  bool
}

func (w *wanted) put(o option, v int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.set == nil {
		w.set = map[option]int{}
	}
	w.set[o] = v
}

func (w *wanted) get(o option) (int, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	v, ok := w.set[o]
	return v, ok
}

// apply is a Control function of package net.
func (w *wanted) apply(_, _ string, c syscall.RawConn) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for o, v := range w.set {
		if err := setOption(c, o, w.v6, v); err != nil {
			return err
		}
	}
	return nil
}
