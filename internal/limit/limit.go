// Package limit names what guests may have only so much of, and is the error of
// those who want more.
package limit

import (
	"fmt"
	"time"
)

// Resource is something of which a guest may have only so much.
type Resource string

// The resources that the runtime bounds.
const (
	Size      Resource = "size"                   // of a component or module, in bytes
	Memory    Resource = "memory"                 // linear memory, in bytes
	Tables    Resource = "table elements"         // of all tables of an instance
	Handles   Resource = "handles"                // of one component instance
	Instances Resource = "instances"              // core instances of a component
	Stack     Resource = "call stack"             // of guest functions, in bytes
	Depth     Resource = "nested calls"           // that leave guests and enter them again
	Host      Resource = "host memory for values" // in bytes
	Passed    Resource = "bytes passed"           // between components in a call
	CPU       Resource = "CPU time"               // in nanoseconds
	Time      Resource = "time"                   // on the clock, in nanoseconds
	Fuel      Resource = "fuel"                   // in units of metered work
)

// Error reports that a guest reached the limit of a resource.
type Error struct {
	Resource  Resource
	Limit     uint64 // in the unit of the resource
	Requested uint64 // what was asked for in all, at least
}

func (e *Error) Error() string {
	switch e.Resource {
	case CPU, Time:
		return fmt.Sprintf("%s limit of %v exceeded", e.Resource, time.Duration(e.Limit))
	case Stack:
		return fmt.Sprintf("%s limit of %d bytes exceeded", e.Resource, e.Limit)
	case Size, Memory, Host:
		return fmt.Sprintf("%s limit exceeded: %d bytes requested, %d allowed", e.Resource, e.Requested, e.Limit)
	default:
		return fmt.Sprintf("%s limit exceeded: %d requested, %d allowed", e.Resource, e.Requested, e.Limit)
	}
}
