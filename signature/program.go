package signature

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"
)

// Program is a signer that is a program of its own, which reaches a key that can't be
// had: in a hardware token, or in a service of a cloud.
//
// It is run once for each request, without arguments. It gets the request as a JSON
// object on its standard input and writes the answer, a JSON object too, to its
// standard output; bytes are in standard base64.
//
//	{"version": 1, "request": "publicKey"}
//	{"publicKey": "-----BEGIN PUBLIC KEY-----\n..."}
//
//	{"version": 1, "request": "sign", "publicKey": "-----BEGIN...", "algorithm": "ecdsa-p256",
//	 "message": "...", "digestAlgorithm": "sha256", "digest": "..."}
//	{"signature": "..."}
//
// The digest is what ECDSA and RSA keys sign; for Ed25519 keys there is none. The
// signature is as [Signer] has it. A program that can't answer ends with another exit
// code than 0 and says why on its standard error.
type Program struct {
	path   string
	stderr io.Writer
	public PublicKey
}

// maxAnswer bounds what a program answers.
const maxAnswer = 64 << 10

// NewProgram asks a program, a path or a name in $PATH, for its public key. What it
// writes to its standard error, which may ask the user for something, goes to stderr.
func NewProgram(ctx context.Context, path string, stderr io.Writer) (*Program, error) {
	p := &Program{path: path, stderr: stderr}
	a, err := p.ask(ctx, programRequest{Request: "publicKey"})
	if err != nil {
		return nil, err
	}
	if p.public, err = ParsePublicKey([]byte(a.PublicKey)); err != nil {
		return nil, fmt.Errorf("signing program %s: publicKey: %w", path, err)
	}
	return p, nil
}

type programRequest struct {
	Version         int    `json:"version"`
	Request         string `json:"request"`
	PublicKey       string `json:"publicKey,omitempty"`
	Algorithm       string `json:"algorithm,omitempty"`
	Message         []byte `json:"message,omitempty"`
	DigestAlgorithm string `json:"digestAlgorithm,omitempty"`
	Digest          []byte `json:"digest,omitempty"`
}

type programAnswer struct {
	PublicKey string `json:"publicKey"`
	Signature []byte `json:"signature"`
}

// Public is the key that the program said it has.
func (p *Program) Public() PublicKey { return p.public }

// Sign has the program sign a message.
func (p *Program) Sign(ctx context.Context, message []byte) ([]byte, error) {
	r := programRequest{Request: "sign", PublicKey: string(p.public.PEM()), Algorithm: p.public.algorithm, Message: message}
	if h := hashOf(p.public.crypto()); h != 0 {
		r.DigestAlgorithm, r.Digest = fmt.Sprintf("sha%d", h.Size()*8), digestOf(h, message)
	}
	a, err := p.ask(ctx, r)
	if err != nil {
		return nil, err
	}
	switch {
	case len(a.Signature) == 0:
		return nil, fmt.Errorf("signing program %s: there is no signature in its answer", p.path)
	case p.public.Verify(message, a.Signature) != nil:
		return nil, fmt.Errorf("signing program %s: what it answered is no signature by its key", p.path)
	}
	return a.Signature, nil
}

func (p *Program) ask(ctx context.Context, r programRequest) (*programAnswer, error) {
	r.Version = 1
	in, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	out := &boundedBuffer{}
	cmd := exec.CommandContext(ctx, p.path)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(append(in, '\n')), out, p.stderr
	cmd.WaitDelay = 5 * time.Second // for what the program started and left behind
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, fmt.Errorf("signing program %s: %w", p.path, err)
	}
	a := &programAnswer{}
	if err := json.Unmarshal(out.bytes, a); err != nil {
		return nil, fmt.Errorf("signing program %s: answer: %w", p.path, err)
	}
	return a, nil
}

// boundedBuffer refuses what is more than an answer may have.
type boundedBuffer struct{ bytes []byte }

func (b *boundedBuffer) Write(p []byte) (int, error) {
	if len(b.bytes)+len(p) > maxAnswer {
		return 0, errors.New("the answer is too long")
	}
	b.bytes = append(b.bytes, p...)
	return len(p), nil
}
