package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/ashlar-wasm/ashlar/oci"
	"github.com/ashlar-wasm/ashlar/oci/bundles"
	"github.com/ashlar-wasm/ashlar/packages"
	"github.com/ashlar-wasm/ashlar/signature"
	"github.com/ashlar-wasm/ashlar/trust"
)

// trustVariable is the environment variable that names a trust policy.
const trustVariable = "ASHLAR_TRUST"

// trustHelp says which policies apply.
const trustHelp = `Trust policies say which artifacts of registries may be used. Those that apply are
/etc/ashlar/trust.yaml, ashlar/trust.yaml in the user's configuration directory, the file
that $` + trustVariable + ` names, and that of --trust; all that are there must accept.`

// policies are the trust policies that apply to what is taken from registries.
type policies struct {
	file string
	// unchecked says that they don't apply: the command shows what there is, and
	// neither runs it nor writes it.
	unchecked bool
}

func (p *policies) flags(c *cobra.Command) {
	c.Flags().StringVar(&p.file, "trust", "", "trust policy that has to accept what is taken from registries, besides those of the system, the user and $"+trustVariable+" (see 'ashlar trust')")
}

// read reads the policies that apply.
func (p *policies) read() ([]*trust.Policy, error) {
	if p.unchecked {
		return nil, nil
	}
	var all []*trust.Policy
	for _, path := range systemPolicies() {
		policy, err := trust.Read(path)
		if isAbsent(path, err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, policy)
	}
	for _, path := range []string{os.Getenv(trustVariable), p.file} {
		if path == "" {
			continue
		}
		policy, err := trust.Read(path)
		if err != nil {
			return nil, err
		}
		all = append(all, policy)
	}
	return all, nil
}

// isAbsent reports whether a policy is not there. One that names a file of a key
// that is not there is.
func isAbsent(path string, err error) bool {
	if !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	_, err = os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}

// systemPolicies are the files that need not be there.
func systemPolicies() []string {
	system := "/etc"
	if runtime.GOOS == "windows" {
		system = os.Getenv("ProgramData")
	}
	var files []string
	if system != "" {
		files = append(files, filepath.Join(system, "ashlar", trust.File))
	}
	if user, err := os.UserConfigDir(); err == nil {
		files = append(files, filepath.Join(user, "ashlar", trust.File))
	}
	return files
}

// trusted asks the policies about an artifact, and returns the reference with the
// digest that they accepted. Without a policy it is the same.
func (p *policies) trusted(ctx context.Context, client *oci.Client, ref oci.Reference) (oci.Reference, error) {
	all, err := p.read()
	if err != nil || len(all) == 0 {
		return ref, err
	}
	a, err := artifactToTrust(ctx, client, &ref)
	if err != nil {
		return ref, err
	}
	_, err = decide(ctx, all, a)
	return ref, err
}

// verify returns what asks the policies about a release of a package.
func (p *policies) verify() func(context.Context, *packages.Resolution) (string, error) {
	read := sync.OnceValues(p.read)
	return func(ctx context.Context, r *packages.Resolution) (signer string, err error) {
		all, err := read()
		if err != nil || len(all) == 0 {
			return "", err
		}
		a, err := releaseToTrust(ctx, r)
		if err != nil {
			return "", err
		}
		decisions, err := decide(ctx, all, a)
		if err != nil {
			return "", err
		}
		var ids []string
		for _, d := range decisions {
			for _, k := range d.Keys {
				ids = append(ids, k.Public.ID())
			}
		}
		slices.Sort(ids)
		return strings.Join(slices.Compact(ids), " "), nil
	}
}

// decide asks all policies about an artifact. All of them must accept it.
func decide(ctx context.Context, all []*trust.Policy, a trust.Artifact) ([]*trust.Decision, error) {
	var decisions []*trust.Decision
	for _, policy := range all {
		d, err := policy.Check(ctx, a)
		var refused *trust.RefusedError
		if errors.As(err, &refused) {
			return decisions, withCode(exitTrust, err)
		}
		if err != nil {
			return decisions, err
		}
		decisions = append(decisions, d)
	}
	return decisions, nil
}

// artifactToTrust describes an artifact to policies, and notes its digest in the
// reference.
func artifactToTrust(ctx context.Context, client *oci.Client, ref *oci.Reference) (trust.Artifact, error) {
	a, err := client.Describe(ctx, *ref)
	if err != nil {
		return trust.Artifact{}, artifactError(err)
	}
	ref.Digest = a.Descriptor.Digest
	pinned := *ref
	attached := sync.OnceValues(func() ([]*signature.Bundle, error) {
		list, err := bundles.List(ctx, client, pinned, "")
		return bundles.Readable(list), err
	})
	return trust.Artifact{
		Reference: trustedName(pinned), Manifest: a.ManifestBytes, Now: time.Now(),
		Bundles: func(context.Context) ([]*signature.Bundle, error) { return attached() },
	}, nil
}

// releaseToTrust describes a release of a package in an OCI registry.
func releaseToTrust(ctx context.Context, r *packages.Resolution) (trust.Artifact, error) {
	if r.Manifest == "" {
		return trust.Artifact{}, fmt.Errorf("%s@%s: the digest of its manifest is not known", r.Package, r.Version)
	}
	manifest, err := r.ManifestBytes(ctx)
	if err != nil {
		return trust.Artifact{}, artifactError(err)
	}
	attached := sync.OnceValues(func() ([]*signature.Bundle, error) { return r.Bundles(ctx) })
	return trust.Artifact{
		Reference: r.Reference(), Package: r.Package.String(), Version: r.Version.String(), Manifest: manifest, Now: time.Now(),
		Bundles: func(context.Context) ([]*signature.Bundle, error) { return attached() },
	}, nil
}

// trustedName is what patterns of policies are compared with.
func trustedName(ref oci.Reference) string {
	if ref.Layout == "" {
		return ref.Registry + "/" + ref.Repository
	}
	path, err := filepath.Abs(ref.Layout)
	if err != nil {
		path = ref.Layout
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	return trust.SchemeLayout + filepath.ToSlash(path)
}

func newTrust(s *streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "trust",
		Short: "Look at trust policies, and ask them about an artifact",
		Long:  "Look at trust policies, and ask them about an artifact.\n\n" + trustHelp,
	}
	cmd.AddCommand(newTrustCheck(s))
	return cmd
}

func newTrustCheck(s *streams) *cobra.Command {
	var p packageFlags
	cmd := &cobra.Command{
		Use:   "check [flags] [REF|PACKAGE]",
		Short: "Say what trust policies decide about an artifact, and why",
		Long: `Say what each trust policy decides about an artifact or a package, and by which rule.
Without an argument, read the policies that apply and list them.

` + trustHelp + fmt.Sprintf(`

The exit code is %d if a policy refuses the artifact.

`, exitTrust) + artifactHelp,
		Example: `  ashlar trust check
  ashlar trust check --trust ./trust.yaml registry.example/ns/hello:1.2.0`,
		Args: atMostArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			all, err := p.read()
			if err != nil {
				return err
			}
			if len(args) == 0 {
				return printPolicies(s, all)
			}
			return p.toTrust(c.Context(), s, args[0], func(a trust.Artifact) error {
				var refused error
				for _, policy := range all {
					d, err := decide(c.Context(), []*trust.Policy{policy}, a)
					var re *trust.RefusedError
					switch {
					case errors.As(err, &re):
						if _, err := fmt.Fprintf(s.out, "%s: refused by %s\n", policy.Name, re.Rule); err != nil {
							return err
						}
						refused = errors.Join(refused, err)
						continue
					case err != nil:
						return err
					}
					if _, err := fmt.Fprintln(s.out, explain(d[0])); err != nil {
						return err
					}
				}
				if refused != nil {
					return withCode(exitTrust, refused)
				}
				if len(all) == 0 {
					return printPolicies(s, all)
				}
				return nil
			})
		},
	}
	p.flags(cmd)
	p.policies.flags(cmd)
	return cmd
}

// toTrust runs f with the artifact that a word of the command line names.
func (p *packageFlags) toTrust(ctx context.Context, s *streams, word string, f func(trust.Artifact) error) error {
	print := func(name string, a trust.Artifact) error {
		if _, err := fmt.Fprintln(s.out, name); err != nil {
			return err
		}
		return f(a)
	}
	if !namesPackage(word) {
		ref, err := parseReference(word)
		if err != nil {
			return err
		}
		return p.client(s, maxFile, func(client *oci.Client) error {
			a, err := artifactToTrust(ctx, client, &ref)
			if err != nil {
				return err
			}
			return print(ref.String(), a)
		})
	}
	spec, err := parseSpec(word)
	if err != nil {
		return err
	}
	return p.packages(s, func(client *packages.Client) error {
		r, err := (&packages.Resolver{Client: client}).Resolve(ctx, spec.Ref, spec.Requirement)
		if err != nil {
			return err
		}
		if r.Location.Protocol != packages.ProtocolOCI {
			_, err := fmt.Fprintf(s.out, "%s@%s is in a folder, which policies are not asked about\n", r.Package, r.Version)
			return err
		}
		a, err := releaseToTrust(ctx, &r)
		if err != nil {
			return err
		}
		return print(fmt.Sprintf("%s@%s %s@%s", r.Package, r.Version, r.Reference(), r.Manifest), a)
	})
}

// printPolicies lists the policies that apply.
func printPolicies(s *streams, all []*trust.Policy) error {
	if len(all) == 0 {
		_, err := fmt.Fprintf(s.out, "there is no trust policy, so everything is accepted; looked for %s\n", strings.Join(systemPolicies(), ", "))
		return err
	}
	for _, policy := range all {
		if _, err := fmt.Fprintln(s.out, policy.Name); err != nil {
			return err
		}
	}
	return nil
}

// explain says why a policy accepts.
func explain(d *trust.Decision) string {
	text := fmt.Sprintf("%s: accepted by %s", d.Policy, d.Rule)
	for _, k := range d.Keys {
		text += fmt.Sprintf("\n  signed with %s (%s)", k.Public.ID(), k.Name)
	}
	for _, a := range d.Attestations {
		text += fmt.Sprintf("\n  %s by %s (%s)", printable(a.PredicateType), a.Key.Public.ID(), a.Key.Name)
	}
	if len(d.Keys)+len(d.Attestations) == 0 {
		text += ", whatever it has"
	}
	return text
}
