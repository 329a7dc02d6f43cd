package cli

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/andironhq/andiron/bulk"
	"github.com/andironhq/andiron/lake"
)

// progress shows on standard error how far a long command is: bars on a terminal, else one
// line for each change of state, or JSON events, or nothing.
type progress struct {
	a    *app
	mode string

	mu      sync.Mutex
	bars    *mpb.Progress
	total   *mpb.Bar
	last    string // the last line of a state, so that it is said once
	done    int
	files   int
	started time.Time
}

func (a *app) startProgress() *progress {
	p := &progress{a: a, mode: a.settings.get("progress", "").text, started: a.now()}
	if p.mode == "auto" {
		switch {
		case a.errIsTerminal():
			p.mode = "bars"
		case a.speaksJSON():
			p.mode = "json"
		default:
			p.mode = "plain"
		}
	}
	return p
}

// stop takes the bars away; what is printed after it stands below them.
func (p *progress) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bars != nil {
		if p.total != nil && !p.total.Completed() {
			p.total.Abort(true)
		}
		p.bars.Wait()
		p.bars, p.total = nil, nil
	}
}

// bulkEvent is one event of an export in JSON.
type bulkEvent struct {
	bulk.Event
	Error string `json:"error,omitempty"`
}

// exported receives the events of an export.
func (p *progress) exported(e bulk.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.Files > 0 {
		p.files = e.Files
	}
	p.done = max(p.done, e.Done)
	switch p.mode {
	case "json":
		x := bulkEvent{Event: e}
		if e.Err != nil {
			x.Error = e.Err.Error()
		}
		_ = writeJSON(p.a.err, x)
	case "plain":
		p.line(exportLine(e, p.a.now()))
	case "bars":
		p.draw(e)
	}
}

// line prints a state once.
func (p *progress) line(text string) {
	if text == "" || text == p.last {
		return
	}
	p.last = text
	if p.bars != nil {
		_, _ = fmt.Fprintln(p.bars, text)
		return
	}
	p.a.say("%s", text)
}

func (p *progress) draw(e bulk.Event) {
	switch e.Kind {
	case bulk.KindDownload:
		return
	case bulk.KindManifest, bulk.KindFile:
		if p.bars == nil && p.files > 0 {
			p.bars = mpb.New(mpb.WithOutput(p.a.err), mpb.WithWidth(40), mpb.WithRefreshRate(120*time.Millisecond))
			p.total = p.bars.AddBar(int64(p.files), mpb.BarRemoveOnComplete(),
				mpb.PrependDecorators(decor.Name("files "), decor.CountersNoUnit("%d of %d")),
				mpb.AppendDecorators(decor.Percentage()))
		}
		if p.total != nil {
			p.total.SetCurrent(int64(p.done))
		}
		if e.Kind == bulk.KindFile {
			return
		}
	}
	p.line(exportLine(e, p.a.now()))
}

// exportLine is an event as a sentence; "" where it says nothing new.
func exportLine(e bulk.Event, now time.Time) string {
	join := func(s string, more ...string) string {
		for _, m := range more {
			if m != "" {
				s += ": " + m
			}
		}
		return plain(s)
	}
	until := func() string {
		d := e.Until.Sub(now).Round(time.Second)
		switch {
		case e.Until.IsZero() || d <= 0:
			return ""
		case d >= time.Hour:
			return ", next at " + e.Until.Local().Format("2006-01-02 15:04")
		}
		return ", again in " + d.String()
	}
	cause := ""
	if e.Err != nil {
		cause = strings.TrimPrefix(e.Err.Error(), "bulk: ")
	}
	switch e.Kind {
	case bulk.KindDialect:
		return join("dialect "+string(e.Dialect), e.Text)
	case bulk.KindResume:
		s := "going on where the last run stopped"
		if e.Files > 0 {
			s += fmt.Sprintf(" (%d of %s whole)", e.Done, count(e.Files, "file", "files"))
		}
		return s
	case bulk.KindKickoff:
		return "export started"
	case bulk.KindStatus:
		return join("the server is at work", e.Progress)
	case bulk.KindWait:
		return join("waiting"+until(), e.Text)
	case bulk.KindManifest:
		return "the server is ready: " + count(e.Files, "file", "files")
	case bulk.KindFile:
		return fmt.Sprintf("%s  %s, %s  (%d of %d)", e.File, count(e.Lines, "resource", "resources"), size(e.Bytes), e.Done, e.Files)
	case bulk.KindRetry:
		return join("trying again"+until(), e.File, e.Text, cause)
	case bulk.KindFailed:
		return join("given up", e.File, e.Text, cause)
	case bulk.KindNote:
		return join("note", e.Text)
	case bulk.KindWarning:
		return join("warning", e.Text, cause)
	}
	return ""
}

// loaded receives the files of a load as their turn ends.
func (p *progress) loaded(f lake.FileResult) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch p.mode {
	case "json":
		x := loadFileJSON{File: f.File, Resources: f.Resources, Quarantined: f.Quarantined, Bytes: f.Bytes, Unchanged: f.Unchanged}
		if f.Err != nil {
			x.Error = cause(f.Err).Error()
		}
		_ = writeJSON(p.a.err, x)
	case "plain", "bars":
		switch {
		case f.Err != nil:
			p.line(f.File + ": left out: " + cause(f.Err).Error())
		case f.Unchanged: // counted at the end
		default:
			p.line(fmt.Sprintf("%s  %s, %s", f.File, count(f.Resources, "resource", "resources"), size(f.Bytes)))
		}
	}
}
