package socket

import "golang.org/x/sys/unix"

const tcpKeepIdle = unix.TCP_KEEPALIVE

// doubledBuffers: the system reports the size that was set.
const doubledBuffers = false
