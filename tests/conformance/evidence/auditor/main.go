// The auditor's own verifier: Go's checksum-database code (golang.org/x/mod/sumdb), none of ours.
//
// Reads one JSON question from standard input and answers with one JSON line. Built against Debian's
// golang-golang-x-mod-dev: GO111MODULE=off GOPATH=/usr/share/gocode go build *.go
package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type inclusion struct {
	Index int64
	Leaf  []byte
	Path  [][]byte
}

type consistency struct {
	Size int64
	Root []byte
	Path [][]byte
}

type signature struct {
	Key, Message, Signature []byte
}

type question struct {
	Vkey        string
	Checkpoint  string
	Tiles       string
	Audit       string // directory of a published log that is to be audited whole
	Seen        string // a checkpoint of it that was seen earlier or elsewhere
	Inclusion   []inclusion
	Consistency []consistency
	Signatures  []signature
	Notes       [][]byte // are they signed by Vkey?
	Archives    [][]byte
	Witnesses   []string // their keys: have Quorum of them cosigned Checkpoint?
	Quorum      int
}

type answer struct {
	Checkpoint  string // "" or why it was refused
	Size        int64
	Derived     bool // every leaf was proven from our tiles by Go's own prover
	Inclusion   []bool
	Consistency []bool
	Signatures  []bool
	Witnessed   bool
	Verdict     string // of the audit
	Why         string
	Told        told // what else the log tells, as far as it was read
	Notes       []bool
	Archives    []string // why each should not be unpacked, or ""
}

// tiles reads our files. C2SP's paths lack the height that x/mod puts into them.
type tiles struct{ root string }

func (t tiles) Height() int { return 8 }

func (t tiles) SaveTiles([]tlog.Tile, [][]byte) {}

func (t tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var found [][]byte
	for _, tile := range wanted {
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		data, err := os.ReadFile(filepath.Join(t.root, path))
		if err != nil {
			return nil, err
		}
		found = append(found, data)
	}
	return found, nil
}

func hashes(path [][]byte) []tlog.Hash {
	out := make([]tlog.Hash, len(path))
	for i, step := range path {
		copy(out[i][:], step)
	}
	return out
}

func open(vkey, checkpoint string) (tlog.Tree, error) {
	var tree tlog.Tree
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return tree, err
	}
	opened, err := note.Open([]byte(checkpoint), note.VerifierList(verifier))
	if err != nil {
		return tree, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 4 || lines[0] != verifier.Name() {
		return tree, fmt.Errorf("another origin")
	}
	if tree.N, err = strconv.ParseInt(lines[1], 10, 64); err != nil || strconv.FormatInt(tree.N, 10) != lines[1] {
		return tree, fmt.Errorf("the size is no number")
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	copy(tree.Hash[:], root)
	return tree, err
}

func derived(tree tlog.Tree, root string, leaves []inclusion) bool {
	reader := tlog.TileHashReader(tree, tiles{root})
	for _, leaf := range leaves {
		proof, err := tlog.ProveRecord(tree.N, leaf.Index, reader)
		if err != nil || tlog.CheckRecord(proof, tree.N, tree.Hash, leaf.Index, tlog.RecordHash(leaf.Leaf)) != nil {
			return false
		}
	}
	return true
}

func judged(tree tlog.Tree, refused error, q question) (string, string, told) {
	if refused != nil {
		return "tampered", refused.Error(), told{}
	}
	origin, _, _ := strings.Cut(q.Vkey, "+")
	if q.Seen == "" {
		return audit(tree, origin, q.Audit, nil)
	}
	seen, err := open(q.Vkey, q.Seen)
	if err != nil {
		return "undecidable", "the checkpoint seen before: " + err.Error(), told{}
	}
	return audit(tree, origin, q.Audit, &seen)
}

func main() {
	var q question
	if err := json.NewDecoder(os.Stdin).Decode(&q); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	var a answer
	for _, s := range q.Signatures {
		a.Signatures = append(a.Signatures, ed25519.Verify(s.Key, s.Message, s.Signature))
	}
	a.Notes = opens(q.Vkey, q.Notes)
	for _, archive := range q.Archives {
		a.Archives = append(a.Archives, hostile(archive))
	}
	if q.Vkey != "" {
		tree, err := open(q.Vkey, q.Checkpoint)
		if err != nil {
			a.Checkpoint = err.Error()
		} else {
			a.Size = tree.N
			for _, i := range q.Inclusion {
				err := tlog.CheckRecord(hashes(i.Path), tree.N, tree.Hash, i.Index, tlog.RecordHash(i.Leaf))
				a.Inclusion = append(a.Inclusion, err == nil)
			}
			for _, c := range q.Consistency {
				old := hashes([][]byte{c.Root})[0]
				err := tlog.CheckTree(hashes(c.Path), tree.N, tree.Hash, c.Size, old)
				a.Consistency = append(a.Consistency, err == nil)
			}
			a.Witnessed = witnessed(q)
			a.Derived = q.Tiles != "" && derived(tree, q.Tiles, q.Inclusion)
		}
		if q.Audit != "" {
			a.Verdict, a.Why, a.Told = judged(tree, err, q)
		}
	}
	json.NewEncoder(os.Stdout).Encode(a)
}
