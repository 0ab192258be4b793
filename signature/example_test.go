package signature_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/ashlar-wasm/ashlar/signature"
)

func Example() {
	ctx := context.Background()
	manifest := []byte(`{"schemaVersion":2}`) // of an artifact in a registry

	// Who has the key signs, and attaches the bundle to the artifact.
	key, err := signature.Generate()
	if err != nil {
		log.Fatal(err)
	}
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	statement, err := signature.NewStatement(manifest, signature.PredicateSign, signature.SignPredicate{SignedAt: now})
	if err != nil {
		log.Fatal(err)
	}
	bundle, err := signature.Sign(ctx, key, statement)
	if err != nil {
		log.Fatal(err)
	}
	attached := bundle.Encode()

	// Who trusts the key reads the bundle and verifies it.
	bundle, err = signature.ParseBundle(attached)
	if err != nil {
		log.Fatal(err)
	}
	trusted := []signature.PublicKey{key.Public()}
	verified, err := bundle.Verify(manifest, trusted)
	if err != nil {
		log.Fatal(err)
	}
	at, _ := verified.SignedAt()
	fmt.Println(verified.Statement.PredicateType, at)

	_, err = bundle.Verify([]byte(`{}`), trusted)
	fmt.Println(errors.Is(err, signature.ErrSubject))
	// Output:
	// https://sigstore.dev/cosign/sign/v1 2026-03-04 05:06:07 +0000 UTC
	// true
}
