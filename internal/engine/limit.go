package engine

import (
	"fmt"
	"time"
)

// Resource is something of which a guest may have only so much.
type Resource string

// The resources that the engine bounds.
const (
	ResourceMemory    Resource = "memory"     // linear memory, in bytes
	ResourceCPU       Resource = "CPU time"   // in nanoseconds
	ResourceTime      Resource = "time"       // on the clock, in nanoseconds
	ResourceFuel      Resource = "fuel"       // units of metered work
	ResourceInstances Resource = "instances"  // core instances of a component
	ResourceStack     Resource = "call stack" // of guest functions, in bytes
)

// LimitError reports that a guest reached the limit of a resource.
type LimitError struct {
	Resource  Resource
	Limit     uint64 // in the unit of the resource
	Requested uint64 // what was asked for in all, at least
}

func (e *LimitError) Error() string {
	switch e.Resource {
	case ResourceCPU, ResourceTime:
		return fmt.Sprintf("%s limit of %v exceeded", e.Resource, time.Duration(e.Limit))
	case ResourceMemory:
		return fmt.Sprintf("%s limit exceeded: %d bytes requested, %d allowed", e.Resource, e.Requested, e.Limit)
	case ResourceStack:
		return fmt.Sprintf("%s limit of %d bytes exceeded", e.Resource, e.Limit)
	default:
		return fmt.Sprintf("%s limit exceeded: %d requested, %d allowed", e.Resource, e.Requested, e.Limit)
	}
}
