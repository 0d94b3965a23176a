package main

// What a log tells beside being whole: which kinds of records, what was ordered to go, which calls have no end, and where
// the recorder's clock went back. Read from the records by this program's own reading of docs/evidence.md.

import (
	"encoding/json"
	"fmt"
)

type told struct {
	Kinds   map[string]int // records by type
	Writers map[string]int // records by writer
	Erased  int            // bodies that are gone because a record before or after them ordered their key to go
	Left    int            // bodies that are still here although their key was ordered to go
	Open    int            // calls without an outcome that no recovery names
	Named   int            // calls that recoveries name
	Refused int            // changes of retention that are on record as refused
	Back    int            // the recorder's own records whose time lies before that of the one before
}

type goneBody struct {
	index     int64
	part, kid string
}

type telling struct {
	told
	open    map[string]bool
	ordered map[string]bool
	gone    []goneBody
	kept    map[string]int // bodies that are here, by key
	own     int64          // time of the recorder's newest record
}

func newTelling() telling {
	return telling{
		told:    told{Kinds: map[string]int{}, Writers: map[string]int{}},
		open:    map[string]bool{},
		ordered: map[string]bool{},
		kept:    map[string]int{},
	}
}

func (t *telling) add(header map[string]any) {
	text := func(from map[string]any, name string) string { value, _ := from[name].(string); return value }
	kind := text(header, "t")
	t.Kinds[kind]++
	t.Writers[text(header, "wid")]++
	facts, _ := header["ext"].(map[string]any)
	if text(header, "phase") == "intent" {
		t.open[text(header, "eid")] = true
	}
	for id := range carried(header) {
		t.open[id] = true
	}
	causes, _ := header["cause"].([]any)
	for _, cause := range causes {
		if id, _ := cause.(string); text(header, "phase") == "outcome" {
			delete(t.open, id)
		}
	}
	if kind == "recovery" {
		calls, _ := facts["calls"].([]any)
		for _, call := range calls {
			id, _ := call.(string)
			if t.open[id] {
				t.Named++
			}
			delete(t.open, id)
		}
	}
	if kind == "erasure.order" {
		kids, _ := facts["kids"].([]any)
		for _, kid := range kids {
			id, _ := kid.(string)
			t.ordered[id] = true
		}
	}
	changes, _ := facts["changes"].([]any)
	for _, one := range changes {
		change, _ := one.(map[string]any)
		if refused, _ := change["refused"].(bool); refused {
			t.Refused++
		}
	}
	actor, _ := header["actor"].(map[string]any)
	if text(actor, "kind") == "recorder" {
		number, _ := header["ts"].(json.Number)
		ts, _ := number.Int64()
		if ts < t.own {
			t.Back++
		}
		t.own = ts
	}
}

// carried returns the open calls that the first records of a shard take over from the shard before it.
func carried(header map[string]any) map[string]any {
	kind, _ := header["t"].(string)
	facts, _ := header["ext"].(map[string]any)
	if kind != "shard.open" && kind != "shard.carry" {
		return nil
	}
	calls, _ := facts["calls"].(map[string]any)
	return calls
}

// finish returns what is gone without an order.
func (t *telling) finish() error {
	t.Open = len(t.open)
	for kid, count := range t.kept {
		if t.ordered[kid] {
			t.Left += count
		}
	}
	var missing error
	for _, one := range t.gone {
		if t.ordered[one.kid] {
			t.Erased++
		} else if missing == nil {
			missing = fmt.Errorf("record %d: %w: body %s is not kept here", one.index, errUndecidable, one.part)
		}
	}
	return missing
}
