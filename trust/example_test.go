package trust_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/ashlar-wasm/ashlar/signature"
	"github.com/ashlar-wasm/ashlar/trust"
)

func ExamplePolicy_Check() {
	key, err := signature.Generate()
	if err != nil {
		log.Fatal(err)
	}
	nkey, err := key.Public().Nkey()
	if err != nil {
		log.Fatal(err)
	}
	policy, err := trust.Parse("trust.yaml", []byte(`
version: 1
default: refuse
rules:
  - name: acme
    references: ["registry.example/acme/**"]
    keys: [`+nkey+`]
`), nil)
	if err != nil {
		log.Fatal(err)
	}
	ctx, manifest := context.Background(), []byte(`{"schemaVersion":2}`)
	statement, err := signature.NewStatement(manifest, signature.PredicateSign, signature.SignPredicate{SignedAt: time.Now()})
	if err != nil {
		log.Fatal(err)
	}
	bundle, err := signature.Sign(ctx, key, statement)
	if err != nil {
		log.Fatal(err)
	}
	for _, bundles := range [][]*signature.Bundle{{bundle}, nil} {
		decision, err := policy.Check(ctx, trust.Artifact{
			Reference: "registry.example/acme/hello", Manifest: manifest, Now: time.Now(),
			Bundles: func(context.Context) ([]*signature.Bundle, error) { return bundles, nil },
		})
		var refused *trust.RefusedError
		if errors.As(err, &refused) {
			fmt.Println("refused by", refused.Rule)
			continue
		}
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("accepted by", decision.Rule, "with", len(decision.Keys), "signature")
	}
	// Output:
	// accepted by rule 1 "acme" (line 5) with 1 signature
	// refused by rule 1 "acme" (line 5)
}
