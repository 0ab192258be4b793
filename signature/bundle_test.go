package signature

import (
	"testing"
)

func TestSignAndVerify(t *testing.T) {
	manifest := []byte(`{"schemaVersion":2}`)
	key, err := Generate()
	if err != nil {
		t.Fatal(err)
	}
	st, err := NewStatement(manifest, PredicateSign, struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := Sign(t.Context(), key, st)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", b.Encode())
	v, err := b.Verify(manifest, []PublicKey{key.Public()})
	if err != nil || v.Key != key.Public() || v.Statement.PredicateType != PredicateSign {
		t.Fatal(v, err)
	}
}
