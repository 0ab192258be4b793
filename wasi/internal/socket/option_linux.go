package socket

import "golang.org/x/sys/unix"

const tcpKeepIdle = unix.TCP_KEEPIDLE

// doubledBuffers: the system reports twice the size that was set.
const doubledBuffers = true
