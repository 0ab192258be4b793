package signature

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// programVariable has the test binary be a signing program that behaves as its value
// says.
const programVariable = "ASHLAR_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if behaviour, ok := os.LookupEnv(programVariable); ok {
		if err := program(behaviour); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func program(behaviour string) error {
	if behaviour == "slow" {
		time.Sleep(time.Minute)
	}
	k, err := ParsePrivateKey([]byte("SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY"), nil)
	if err != nil {
		return err
	}
	var r struct {
		Version                    int
		Request, PublicKey         string
		Algorithm, DigestAlgorithm string
		Message                    []byte
	}
	if err := json.NewDecoder(os.Stdin).Decode(&r); err != nil {
		return err
	}
	answer := map[string]any{}
	switch {
	case behaviour == "fails" || r.Version != 1:
		return fmt.Errorf("the token is not there")
	case behaviour == "long":
		answer["publicKey"] = strings.Repeat("A", maxAnswer)
	case r.Request == "publicKey":
		answer["publicKey"] = string(k.Public().PEM())
	case r.Request == "sign" && r.PublicKey == string(k.Public().PEM()) && r.Algorithm == "ed25519" && r.DigestAlgorithm == "":
		if behaviour == "lies" {
			r.Message = nil
		}
		if answer["signature"], err = k.Sign(context.Background(), r.Message); err != nil {
			return err
		}
	}
	return json.NewEncoder(os.Stdout).Encode(answer)
}

func TestProgram(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(programVariable, "")
	var stderr bytes.Buffer
	p, err := NewProgram(t.Context(), self, &stderr)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := p.Public().Nkey(); err != nil || text != "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4" {
		t.Errorf("public key %q, %v", text, err)
	}
	b := signed(t, p, PredicateSign, struct{}{})
	if _, err := b.Verify(testManifest, []PublicKey{p.Public()}); err != nil {
		t.Error(err)
	}
	t.Setenv(programVariable, "lies")
	if _, err := p.Sign(t.Context(), testManifest); err == nil || !strings.Contains(err.Error(), "no signature by its key") {
		t.Errorf("a wrong signature: %v", err)
	}
	t.Setenv(programVariable, "fails")
	if _, err := NewProgram(t.Context(), self, &stderr); err == nil || !strings.Contains(stderr.String(), "the token is not there") {
		t.Errorf("a failing program: %v, %q", err, &stderr)
	}
	t.Setenv(programVariable, "long")
	if _, err := NewProgram(t.Context(), self, &stderr); err == nil || !strings.Contains(err.Error(), "too long") {
		t.Errorf("a long answer: %v", err)
	}
	t.Setenv(programVariable, "slow")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := NewProgram(ctx, self, &stderr); err == nil || ctx.Err() == nil {
		t.Errorf("a slow program: %v", err)
	}
	if _, err := NewProgram(t.Context(), self+"-is-not-there", &stderr); err == nil {
		t.Error("a program that is not there")
	}
}
