package bulk

import (
	"context"
	"errors"
	"slices"
	"strings"
)

// reread asks for the manifest again, because the URLs of the one at hand no longer work
// (Bulk Data Access 3.0.0 permits it, "Bulk Data Status Request"), and carries over what is
// already verified. seen is the reading that the caller's URL came from. That the export is
// over at the server is remembered, and not asked again: other files' URLs may still work.
func (b *batch) reread(ctx context.Context, seen int32) error {
	b.reading.Lock()
	defer b.reading.Unlock()
	if b.readings.Load() > seen {
		return nil // somebody was faster
	}
	if b.ended != nil {
		return b.ended
	}
	r := b.runner
	if b.readings.Load() >= maxReadings {
		return errors.New("the manifest was read again too often")
	}
	var c patience
	for {
		a := r.status(ctx, r.rec.statusURL)
		v := r.judge(ctx, a)
		switch v {
		case stop:
			return a.err
		case ready:
			m, pages, of, err := r.manifest(ctx, a)
			switch of {
			case ready:
				return b.adopt(ctx, m, pages)
			case stop:
				return err
			}
			v, a.err = of, err
		case working:
			return errors.New("the server is at work again")
		}
		d, err := r.disappointed(&c, v, a)
		if err != nil {
			if over(err) {
				b.ended = err
			}
			return err
		}
		if err := r.pause(ctx, d); err != nil {
			return err
		}
	}
}

const maxReadings = 50

// adopt takes a new reading of the manifest over. Files keep their names. A file is the same
// as before when its URL is, but for the query; else when the counts of its type's files
// tell them apart. In doubt the type's files are brought again: a wrong match would keep one
// part twice and lose another.
func (b *batch) adopt(ctx context.Context, m *manifest, pages [][]byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	fresh := groups(m.rows())
	var kept []*row
	var doubt bool
	for _, old := range groups(b.rows) {
		i := slices.IndexFunc(fresh, func(g []*row) bool { return g[0].list == old[0].list && g[0].typ == old[0].typ })
		if i < 0 { // no longer listed: what was verified is still what the server once gave
			kept = append(kept, old...)
			continue
		}
		g := fresh[i]
		if pairs, sure := pair(old, g); sure {
			for i, f := range g {
				pairs[i].url, pairs[i].count, pairs[i].size = f.url, f.count, f.size
			}
			kept = append(kept, old...)
			fresh = slices.Delete(fresh, i, i+1)
			continue
		}
		for _, f := range old { // brought again, under other names
			doubt = doubt || f.state == FileVerified
			f.dropped = true
			if err := b.folder.remove(f.name); err != nil {
				return err
			}
		}
	}
	next := map[string]int{}
	for _, f := range b.rows {
		next[f.list] = max(next[f.list], f.n)
	}
	for _, g := range fresh {
		for _, f := range g {
			next[f.list]++
			f.n = next[f.list]
			f.name = fileName(f.list, f.n, f.typ)
			kept = append(kept, f)
		}
	}
	if doubt {
		b.note("the manifest was read again and does not say which files are the same: those in doubt are brought again")
	}
	b.learn(m)
	if err := b.ledger.keepManifest(ctx, b.rec, b.now(), pages, kept); err != nil {
		return err
	}
	b.rows = kept
	b.readings.Add(1)
	return nil
}

// groups splits rows by list and type, keeping their order.
func groups(rows []*row) [][]*row {
	var out [][]*row
	at := map[string]int{}
	for _, f := range rows {
		key := f.list + " " + f.typ
		i, ok := at[key]
		if !ok {
			i = len(out)
			at[key] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], f)
	}
	return out
}

// pair finds for each fresh file the old one it is. sure is false when that cannot be told.
func pair(old, fresh []*row) (pairs []*row, sure bool) {
	pairs = make([]*row, len(fresh))
	if len(old) != len(fresh) {
		return pairs, false
	}
	// The same URLs, but for what signs them.
	byURL := map[string]*row{}
	for _, o := range old {
		byURL[bare(o.url)] = o
	}
	for i, f := range fresh {
		pairs[i] = byURL[bare(f.url)]
	}
	if oneToOne(pairs) {
		return pairs, true
	}
	// Counts that tell the files of a type apart.
	byCount := map[int64]*row{}
	for _, o := range old {
		byCount[o.count] = o
	}
	for i, f := range fresh {
		pairs[i] = byCount[f.count]
	}
	return pairs, oneToOne(pairs)
}

// oneToOne reports that each file has found another one.
func oneToOne(pairs []*row) bool {
	seen := map[*row]bool{nil: true}
	for _, p := range pairs {
		if seen[p] {
			return false
		}
		seen[p] = true
	}
	return true
}

// bare is a URL without what changes when it is signed anew.
func bare(u string) string {
	u, _, _ = strings.Cut(u, "?")
	return u
}
