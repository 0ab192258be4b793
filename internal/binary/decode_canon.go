package binary

import "fmt"

func (d *decoder) opts() []CanonOpt {
	return vec(&d.reader, "canonical option", func() CanonOpt {
		o := CanonOpt{Offset: d.at(), Kind: CanonOptKind(d.byte())}
		switch o.Kind {
		case OptUTF8, OptUTF16, OptLatin1UTF16, OptAsync, OptGC:
		case OptMemory, OptRealloc, OptPostReturn, OptCallback, OptCoreType:
			o.Index = d.u32()
		default:
			d.fail(o.Offset, fmt.Sprintf("invalid leading byte (0x%x) for canonical option", byte(o.Kind)), "")
		}
		return o
	})
}

// canon reads a canonical definition.
func (d *decoder) canon() Def {
	c := &Canon{Offset: d.at(), Op: CanonOp(d.byte())}
	switch c.Op {
	case CanonLift, CanonLower:
		at := d.at()
		if s := d.byte(); s != 0 {
			d.fail(at, fmt.Sprintf("invalid leading byte (0x%x) for canonical function %s", s, c.Op), "expected 0")
		}
		c.Func, c.Opts = d.u32(), d.opts()
		if c.Op == CanonLift {
			c.Type = d.u32()
		}
	case CanonResourceNew, CanonResourceDrop, CanonResourceRep,
		CanonStreamNew, CanonStreamDropReadable, CanonStreamDropWritable,
		CanonFutureNew, CanonFutureDropReadable, CanonFutureDropWritable:
		c.Type = d.u32()
	case CanonStreamRead, CanonStreamWrite, CanonFutureRead, CanonFutureWrite:
		c.Type, c.Opts = d.u32(), d.opts()
	case CanonStreamCancelRead, CanonStreamCancelWrite, CanonFutureCancelRead, CanonFutureCancelWrite:
		c.Type, c.Async = d.u32(), d.boolean()
	case CanonSubtaskCancel:
		c.Async = d.boolean()
	case CanonTaskReturn:
		c.Result, c.Opts = d.resultList(), d.opts()
	case CanonContextGet, CanonContextSet:
		c.ValType, c.Slot = d.coreValType(), d.u32()
	case CanonErrorContextNew, CanonErrorContextDebugMessage:
		c.Opts = d.opts()
	case CanonWaitableSetWait, CanonWaitableSetPoll:
		c.Cancellable, c.Memory = d.boolean(), d.u32()
	case CanonThreadYield, CanonThreadSuspend, CanonThreadSuspendThenResume, CanonThreadYieldThenResume,
		CanonThreadSuspendThenPromote, CanonThreadYieldThenPromote:
		c.Cancellable = d.boolean()
	case CanonThreadNewIndirect:
		c.Type, c.Table = d.u32(), d.u32()
	case CanonThreadSpawnRef:
		c.Shared, c.Type = d.boolean(), d.u32()
	case CanonThreadSpawnIndirect:
		c.Shared, c.Type, c.Table = d.boolean(), d.u32(), d.u32()
	case CanonThreadAvailableParallelism:
		c.Shared = d.boolean()
	case CanonTaskCancel, CanonSubtaskDrop, CanonErrorContextDrop, CanonWaitableSetNew, CanonWaitableSetDrop,
		CanonWaitableJoin, CanonBackpressureInc, CanonBackpressureDec, CanonThreadIndex, CanonThreadResumeLater:
	default:
		d.fail(c.Offset, fmt.Sprintf("invalid leading byte (0x%x) for canonical function", byte(c.Op)), "")
	}
	return c
}
