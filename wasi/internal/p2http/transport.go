package p2http

import (
	"net"
	"net/http"
	"time"
)

// NewTransport returns a transport that sends requests as guests made them. It
// uses no proxy of the host's environment.
func NewTransport() *http.Transport {
	return &http.Transport{
		DialContext:            (&net.Dialer{KeepAlive: 30 * time.Second}).DialContext,
		DisableCompression:     true,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           100,
		MaxIdleConnsPerHost:    16,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: maxFields,
	}
}
