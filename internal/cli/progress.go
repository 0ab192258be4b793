package cli

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// progressLine shows a transfer on one line of a terminal.
type progressLine struct {
	w     io.Writer // nil where there is no terminal
	begun time.Time
	shown time.Time
	drawn bool
}

func newProgressLine(w io.Writer) *progressLine {
	p := &progressLine{begun: time.Now()}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" {
		p.w = w
	}
	return p
}

// report is what is told how far a transfer is. It is nil where nobody looks.
func (p *progressLine) report() func(done, total int64) {
	if p.w == nil {
		return nil
	}
	return p.update
}

const (
	// What is done sooner is not shown at all.
	progressDelay    = 300 * time.Millisecond
	progressInterval = 100 * time.Millisecond
)

func (p *progressLine) update(done, total int64) {
	if done == total {
		p.end() // what is printed next begins on an empty line
		return
	}
	now := time.Now()
	if now.Sub(p.begun) < progressDelay || now.Sub(p.shown) < progressInterval {
		return
	}
	p.shown, p.drawn = now, true
	rate := float64(done) / now.Sub(p.begun).Seconds()
	fmt.Fprintf(p.w, "\r\x1b[K%3d%%  %s of %s, %s/s", done*100/max(total, 1), shortSize(done), shortSize(total), shortSize(int64(rate)))
}

// end removes the line.
func (p *progressLine) end() {
	if p.drawn {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.drawn = false
	}
}
