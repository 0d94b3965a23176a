package main

// What witnesses say of a checkpoint (C2SP cosignature/v1): x/mod opens the note, and asks each of them by what stands here.

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

const cosignatureV1 = 4

type cosigner struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func (c cosigner) Name() string    { return c.name }
func (c cosigner) KeyHash() uint32 { return c.hash }

// Verify takes a time in seconds and a signature over it and the note's text.
func (c cosigner) Verify(msg, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	signed := fmt.Sprintf("cosignature/v1\ntime %d\n%s", binary.BigEndian.Uint64(sig), msg)
	return ed25519.Verify(c.key, []byte(signed), sig[8:])
}

func newCosigner(vkey string) (note.Verifier, error) {
	name, rest, _ := strings.Cut(vkey, "+")
	id, encoded, _ := strings.Cut(rest, "+")
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(key) != 1+ed25519.PublicKeySize || key[0] != cosignatureV1 {
		return nil, fmt.Errorf("%s is no key of a cosigner", name)
	}
	sum := sha256.Sum256(append([]byte(name+"\n"), key...))
	hash := binary.BigEndian.Uint32(sum[:])
	if fmt.Sprintf("%08x", hash) != id {
		return nil, fmt.Errorf("%s has another key id", name)
	}
	return cosigner{name, hash, key[1:]}, nil
}

// witnessed tells whether the log and a quorum of witnesses signed the checkpoint.
func witnessed(q question) bool {
	log, err := note.NewVerifier(q.Vkey)
	if err != nil {
		return false
	}
	among := []note.Verifier{log}
	for _, vkey := range q.Witnesses {
		one, err := newCosigner(vkey)
		if err != nil {
			return false
		}
		among = append(among, one)
	}
	opened, err := note.Open([]byte(q.Checkpoint), note.VerifierList(among...))
	if err != nil {
		return false
	}
	signed := map[string]bool{}
	for _, one := range opened.Sigs {
		signed[one.Name] = true
	}
	return signed[log.Name()] && len(signed)-1 >= q.Quorum
}
