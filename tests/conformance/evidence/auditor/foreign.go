package main

// Bytes from strangers: notes as Go's own package reads them, and archives as its own archive/zip lists them.

import (
	"archive/zip"
	"bytes"
	"io"
	"io/fs"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

const (
	largestWhole = 512 << 20 // bytes that a bundle may unpack to
	mostMembers  = 20000
)

// opens returns whether Go's signed-note package takes each of them under the key.
func opens(vkey string, notes [][]byte) []bool {
	verifier, err := note.NewVerifier(vkey)
	found := make([]bool, len(notes))
	for i, one := range notes {
		if err == nil {
			_, refused := note.Open(one, note.VerifierList(verifier))
			found[i] = refused == nil
		}
	}
	return found
}

// hostile returns why an archive should not be unpacked by anybody; "" if nothing speaks against it.
func hostile(data []byte) string {
	archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return "no archive: " + err.Error()
	}
	if len(archive.File) > mostMembers {
		return "more members than a trace has"
	}
	seen := map[string]bool{}
	whole := uint64(0)
	for _, member := range archive.File {
		name := member.Name
		if strings.HasPrefix(name, "/") || !fs.ValidPath(strings.TrimSuffix(name, "/")) {
			return "a path that leads out: " + name
		}
		if seen[name] {
			return "a name twice: " + name
		}
		seen[name] = true
		if !member.Mode().IsRegular() {
			return "not a file: " + name
		}
		whole += member.UncompressedSize64
		if whole > largestWhole {
			return "a bomb"
		}
		content, err := member.Open()
		if err != nil {
			return "cannot be read: " + name
		}
		if _, err = io.Copy(io.Discard, content); err != nil {
			return "is not what it says: " + name
		}
	}
	return ""
}
