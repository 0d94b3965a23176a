package main

// A whole published log, audited again from its files by code that shares nothing with the one that wrote it: Go's
// checksum database derives the tree, the rest follows docs/evidence.md.

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	width        = 256
	largestExact = 1<<53 - 1
)

// What is missing or unreadable leaves a verdict open; whatever else is wrong was changed.
var errUndecidable = errors.New("undecidable")

type stored []tlog.Hash

func (s stored) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var found []tlog.Hash
	for _, index := range indexes {
		if index >= int64(len(s)) {
			return nil, fmt.Errorf("no hash %d", index)
		}
		found = append(found, s[index])
	}
	return found, nil
}

// audit returns "valid", "tampered" or "undecidable", and why. seen is a checkpoint of the log from earlier or elsewhere.
func audit(tree tlog.Tree, origin, root string, seen *tlog.Tree) (string, string, told) {
	telling := newTelling()
	err := auditTree(tree, origin, root, seen, &telling)
	switch {
	case err == nil:
		return "valid", "", telling.told
	case errors.Is(err, errUndecidable):
		return "undecidable", err.Error(), telling.told
	}
	return "tampered", err.Error(), telling.told
}

func auditTree(tree tlog.Tree, origin, root string, seen *tlog.Tree, telling *telling) error {
	if seen != nil && seen.N > tree.N {
		return fmt.Errorf("rolled back from %d to %d", seen.N, tree.N)
	}
	bodies := segments(root)
	custody := custody{last: map[string]string{}, ids: map[string]bool{}, counts: map[string]int64{}, since: map[string]int64{}}
	var hashes stored
	for number := int64(0); number*width < tree.N; number++ {
		entries, err := bundle(root, number, tree.N)
		if err != nil {
			return err
		}
		for offset, raw := range entries {
			index := number*width + int64(offset)
			added, err := tlog.StoredHashesForRecordHash(index, tlog.RecordHash(raw), hashes)
			if err != nil {
				return err
			}
			hashes = append(hashes, added...)
			if err = record(index, raw, origin, &custody, bodies, telling); err != nil {
				return fmt.Errorf("record %d: %w", index, err)
			}
		}
	}
	if derived, err := tlog.TreeHash(tree.N, hashes); err != nil || derived != tree.Hash {
		return fmt.Errorf("the records do not lead to the signed root")
	}
	if seen != nil {
		if before, err := tlog.TreeHash(seen.N, hashes); err != nil || before != seen.Hash {
			return fmt.Errorf("no continuation of the tree of %d that was seen", seen.N)
		}
	}
	if err := auditTiles(tree.N, root, hashes); err != nil {
		return err
	}
	return telling.finish()
}

func auditTiles(size int64, root string, hashes stored) error {
	all := tlog.NewTiles(8, 0, size) // every width that a partial tile ever had
	for i, tile := range all {
		if i+1 < len(all) && all[i+1].L == tile.L && all[i+1].N == tile.N {
			continue
		}
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		kept, whole, err := read(root, path)
		if err != nil {
			return err
		}
		derived, err := tlog.ReadTileData(tile, hashes)
		if err != nil {
			return err
		}
		if whole && len(kept) > len(derived) {
			kept = kept[:len(derived)]
		}
		if !bytes.Equal(kept, derived) {
			return fmt.Errorf("%s is not the hash of what is below it", path)
		}
	}
	return nil
}

// read returns a file, or the full one that a partial one has since become.
func read(root, path string) ([]byte, bool, error) {
	data, err := os.ReadFile(filepath.Join(root, path))
	if err == nil {
		return data, false, nil
	}
	full, _, partial := strings.Cut(path, ".p/")
	if partial {
		if data, err = os.ReadFile(filepath.Join(root, full)); err == nil {
			return data, true, nil
		}
	}
	return nil, false, fmt.Errorf("%w: %s cannot be read", errUndecidable, path)
}

func bundle(root string, number, size int64) ([][]byte, error) {
	holds := int64(width)
	if size-number*width < width {
		holds = size - number*width
	}
	path := tlog.Tile{H: 8, L: 0, N: number, W: int(holds)}.Path()
	path = strings.Replace(path, "tile/8/0/", "tile/entries/", 1)
	data, whole, err := read(root, path)
	if err != nil {
		return nil, err
	}
	var entries [][]byte
	for len(data) > 0 {
		if len(data) < 2 || len(data)-2 < int(binary.BigEndian.Uint16(data)) {
			return nil, fmt.Errorf("%s: an entry runs over the end", path)
		}
		end := 2 + int(binary.BigEndian.Uint16(data))
		entries, data = append(entries, data[2:end]), data[end:]
	}
	if int64(len(entries)) < holds || (int64(len(entries)) > holds && !whole) {
		return nil, fmt.Errorf("%s holds %d of %d records", path, len(entries), holds)
	}
	return entries[:holds], nil
}

type custody struct {
	last   map[string]string // trace: hash of its newest record
	ids    map[string]bool
	counts map[string]int64 // writer: its newest number
	since  map[string]int64 // trace: how many records since it began or was last closed
}

func record(index int64, raw []byte, origin string, c *custody, bodies map[string][][]byte, telling *telling) error {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var header map[string]any
	if err := decoder.Decode(&header); err != nil {
		return err
	}
	spelt, err := canonical(header)
	if err != nil {
		return err
	}
	if !bytes.Equal(spelt, raw) {
		return fmt.Errorf("not canonical")
	}
	text := func(name string) string { value, _ := header[name].(string); return value }
	number, _ := header["wseq"].(json.Number)
	wseq, _ := number.Int64()
	if text("log") != origin {
		return fmt.Errorf("of another log")
	}
	if wseq != c.counts[text("wid")]+1 {
		return fmt.Errorf("writer %s went from %d to %d", text("wid"), c.counts[text("wid")], wseq)
	}
	c.counts[text("wid")] = wseq
	if c.ids[text("eid")] {
		return fmt.Errorf("%s was recorded before", text("eid"))
	}
	if text("prev") != "" && text("prev") != c.last[text("trace")] {
		return fmt.Errorf("does not follow the record before it in its trace")
	}
	causes, _ := header["cause"].([]any)
	for _, cause := range causes {
		if id, _ := cause.(string); !c.ids[id] {
			return fmt.Errorf("its cause %s is not recorded before it", id)
		}
	}
	c.ids[text("eid")] = true
	for id := range carried(header) {
		c.ids[id] = true
	}
	if text("trace") != "" {
		sum := sha256.Sum256(raw)
		c.last[text("trace")] = hex.EncodeToString(sum[:])
		if text("prev") == "" {
			c.since[text("trace")] = 0
		}
		if text("t") != "trace.close" {
			c.since[text("trace")]++
		}
		closes, ends := header["closes"]
		if text("t") == "trace.close" {
			said, _ := header["ext"].(map[string]any)
			closes, ends = said["records"], true
		}
		if ends {
			records, _ := closes.(json.Number)
			if counted, err := records.Int64(); err != nil || counted != c.since[text("trace")] {
				return fmt.Errorf("closes its trace with %s records, %d are here", records, c.since[text("trace")])
			}
			c.since[text("trace")] = 0
		}
	}
	telling.add(header)
	metas, _ := header["body"].([]any)
	for _, one := range metas {
		meta, _ := one.(map[string]any)
		part, _ := meta["part"].(string)
		kid, _ := meta["kid"].(string)
		kept := bodies[text("eid")+" "+part]
		if len(kept) == 0 {
			telling.gone = append(telling.gone, goneBody{index, part, kid}) // something worse may follow
			continue
		}
		telling.kept[kid]++
		for _, ciphertext := range kept {
			if sum := sha256.Sum256(ciphertext); hex.EncodeToString(sum[:]) != meta["ct"] {
				return fmt.Errorf("body %s is not the recorded one", part)
			}
		}
	}
	return nil
}

// segments returns every kept body by record id and part. A torn tail ends its file.
func segments(root string) map[string][][]byte {
	found := map[string][][]byte{}
	filepath.WalkDir(filepath.Join(root, "body"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".seg" {
			return nil
		}
		data, _ := os.ReadFile(path)
		for len(data) >= 16 && (string(data[:4]) == "MSEG" || string(data[:4]) == "MSEE") {
			first := int(binary.LittleEndian.Uint16(data[4:]))
			second := int(binary.LittleEndian.Uint16(data[6:]))
			length := int(binary.LittleEndian.Uint32(data[8:]))
			rest := data[16:]
			if len(rest) < first+second+length {
				break
			}
			if string(data[:4]) == "MSEG" { // MSEE: erased, its bytes are zeros
				key := string(rest[:first]) + " " + string(rest[first:first+second])
				found[key] = append(found[key], rest[first+second:first+second+length])
			}
			data = rest[first+second+length:]
		}
		return nil
	})
	return found
}

// canonical spells a value as RFC 8785 does, inside the profile that headers keep to.
func canonical(value any) ([]byte, error) {
	switch v := value.(type) {
	case map[string]any:
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		sort.Strings(names)
		return joined('{', '}', len(names), func(i int) ([]byte, error) {
			for _, r := range names[i] {
				if r > 0x7f {
					return nil, fmt.Errorf("a key is not ASCII")
				}
			}
			item, err := canonical(v[names[i]])
			return append(append(quoted(names[i]), ':'), item...), err
		})
	case []any:
		return joined('[', ']', len(v), func(i int) ([]byte, error) { return canonical(v[i]) })
	case json.Number:
		n, err := v.Int64()
		if err != nil || n > largestExact || n < -largestExact {
			return nil, fmt.Errorf("%s is no exact whole number", v)
		}
		return []byte(fmt.Sprint(n)), nil
	case string:
		return quoted(v), nil
	}
	return json.Marshal(value)
}

func joined(open, end byte, count int, item func(int) ([]byte, error)) ([]byte, error) {
	out := []byte{open}
	for i := 0; i < count; i++ {
		if i > 0 {
			out = append(out, ',')
		}
		spelt, err := item(i)
		if err != nil {
			return nil, err
		}
		out = append(out, spelt...)
	}
	return append(out, end), nil
}

func quoted(text string) []byte {
	short := map[rune]string{'"': `\"`, '\\': `\\`, '\b': `\b`, '\f': `\f`, '\n': `\n`, '\r': `\r`, '\t': `\t`}
	out := []byte{'"'}
	for _, r := range text {
		if escape, ok := short[r]; ok {
			out = append(out, escape...)
		} else if r < 0x20 {
			out = append(out, fmt.Sprintf(`\u%04x`, r)...)
		} else {
			out = append(out, string(r)...)
		}
	}
	return append(out, '"')
}
