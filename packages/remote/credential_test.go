package remote

import (
	"context"
	"testing"

	"github.com/ashlar-wasm/ashlar/oci"
	"github.com/ashlar-wasm/ashlar/packages"
)

// TestCredential has no other host get what is for one: neither a mirror of it nor who
// gives tokens.
func TestCredential(t *testing.T) {
	rest := oci.Credential{Username: "rest"}
	o := Options{User: oci.Credential{Username: "given"}, OCI: oci.Options{Credential: func(context.Context, string) (oci.Credential, error) { return rest, nil }}}
	auth := &packages.BasicAuth{Username: "configured", Password: packages.NewSecret("p")}
	for name, test := range map[string]struct {
		r    packages.OCIRegistry
		want oci.Credential
	}{
		"nothing":    {packages.OCIRegistry{}, rest},
		"given":      {packages.OCIRegistry{Chosen: true}, oci.Credential{Username: "given"}},
		"configured": {packages.OCIRegistry{Chosen: true, Config: packages.OCIConfig{Auth: auth}}, oci.Credential{Username: "configured", Password: "p"}},
		"bearer":     {packages.OCIRegistry{Chosen: true, Config: packages.OCIConfig{Auth: auth}, Bearer: packages.NewSecret("t")}, oci.Credential{AccessToken: "t"}},
	} {
		test.r.Host = "r.example"
		find := credential(test.r, o)
		for host, want := range map[string]oci.Credential{"r.example": test.want, "R.example": test.want, "r.example:5000": rest, "mirror.example": rest, "": rest} {
			if got, err := find(t.Context(), host); err != nil || got != want {
				t.Errorf("%s: %q gets %q (%v), expected %q", name, host, got.Username, err, want.Username)
			}
		}
	}
}
