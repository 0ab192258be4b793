package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/ashlar-wasm/ashlar/signature"
)

// keyHelp says where keys are and how they are protected.
const keyHelp = `Keys are files in $` + keysVariable + `, or in ashlar/keys of the user's configuration
directory: NAME.key, encrypted with a password, and NAME.pub. They are cosign's.
The password is $` + keyPasswordVariable + `, or asked for on the terminal.`

func newKey(s *streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Make and manage the keys that artifacts are signed with",
		Long:  "Make and manage the keys that artifacts are signed with.\n\n" + keyHelp,
	}
	cmd.AddCommand(newKeyGenerate(s), newKeyList(s), newKeyExport(s), newKeyImport(s))
	onlyCommands(cmd)
	return cmd
}

func newKeyGenerate(s *streams) *cobra.Command {
	var noPassword bool
	var o signature.WriteOptions
	cmd := &cobra.Command{
		Use:   "generate [flags] NAME",
		Short: "Make an Ed25519 key",
		Long: `Make an Ed25519 key, and print its public key, which others need to verify what it
signs.

` + keyHelp,
		Example: "  ashlar key generate release >release.pub",
		Args:    exactArgs("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			k, err := signature.Generate()
			if err != nil {
				return err
			}
			if err := addKey(s, args[0], k, noPassword, o); err != nil {
				return err
			}
			_, err = s.out.Write(k.Public().PEM())
			return err
		},
	}
	newKeyFlags(cmd, &noPassword, &o)
	return cmd
}

// newKeyFlags are those of commands that write keys.
func newKeyFlags(cmd *cobra.Command, noPassword *bool, o *signature.WriteOptions) {
	cmd.Flags().BoolVar(noPassword, "no-password", false, "encrypt with an empty password: whoever has the file has the key")
	cmd.Flags().BoolVar(&o.Overwrite, "force", false, "replace a key of that name")
}

// addKey asks for a password and writes a private key to the store.
func addKey(s *streams, name string, k *signature.PrivateKey, noPassword bool, o signature.WriteOptions) error {
	store, err := openKeys()
	if err != nil {
		return err
	}
	if err := signature.CheckName(name); err != nil {
		return withCode(exitUsage, err)
	}
	// Nobody is to think of a password in vain.
	if !o.Overwrite {
		if _, err := store.Private(name); err == nil {
			return keyExists(name)
		}
	}
	var password []byte
	if !noPassword {
		if password, err = newPassword(s, name); err != nil {
			return err
		}
	}
	if err := store.Add(name, k, password, o); errors.Is(err, fs.ErrExist) {
		return keyExists(name)
	} else if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.err, "key %s is %s (%s) in %s\n", name, k.Public().ID(), k.Public().Algorithm(), store.Dir)
	return err
}

func keyExists(name string) error {
	return fmt.Errorf("there is a key %s already; --force replaces it, and nobody can sign with it ever after", name)
}

// keyReport is what 'key list' prints of a key.
type keyReport struct {
	Name      string `json:"name"`
	ID        string `json:"id,omitempty"`
	Algorithm string `json:"algorithm,omitempty"`
	Private   bool   `json:"private"`
	PublicKey string `json:"publicKey,omitempty"`
}

func newKeyList(s *streams) *cobra.Command {
	var output outputFormat
	cmd := &cobra.Command{
		Use:     "list [flags]",
		Short:   "List the keys",
		Long:    "List the keys: their names, whether one can sign with them, and their IDs.\n\n" + keyHelp,
		Example: "  ashlar key list -o json",
		Args:    exactArgs(),
		RunE: func(*cobra.Command, []string) error {
			if err := output.check(); err != nil {
				return err
			}
			store, err := openKeys()
			if err != nil {
				return err
			}
			keys, err := store.List()
			if err != nil {
				return err
			}
			if output.json() {
				list := make([]keyReport, len(keys))
				for i, k := range keys {
					list[i] = keyReport{Name: k.Name, Private: k.Private}
					if !k.Public.IsZero() {
						list[i].ID, list[i].Algorithm, list[i].PublicKey = k.Public.ID(), k.Public.Algorithm(), string(k.Public.PEM())
					}
				}
				return printJSON(s, list)
			}
			w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
			for _, k := range keys {
				kind := "public"
				if k.Private {
					kind = "private"
				}
				if k.Public.IsZero() {
					fmt.Fprintf(w, "%s\t%s\t\tits file %s.pub is missing\n", k.Name, kind, k.Name)
					continue
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", k.Name, kind, k.Public.Algorithm(), k.Public.ID())
			}
			return w.Flush()
		},
	}
	output.flags(cmd)
	return cmd
}

func newKeyExport(s *streams) *cobra.Command {
	var format string
	var private bool
	cmd := &cobra.Command{
		Use:   "export [flags] NAME",
		Short: "Print a public key, or with --private a private one",
		Long: `Print a public key as PEM, which is what cosign, openssl and trust policies take, or
as nkey. With --private, print the private key, not encrypted any more.

` + keyHelp,
		Example: `  ashlar key export release
  ashlar key export --format nkey release`,
		Args: exactArgs("NAME"),
		RunE: func(_ *cobra.Command, args []string) error {
			if format != "pem" && format != "nkey" {
				return usageError("--format %q: expected pem or nkey", format)
			}
			text, err := exportKey(s, args[0], format == "nkey", private)
			if err != nil {
				return err
			}
			_, err = s.out.Write(text)
			return err
		},
	}
	cmd.Flags().StringVar(&format, "format", "pem", "pem or nkey")
	cmd.Flags().BoolVar(&private, "private", false, "the private key, unencrypted")
	return cmd
}

func exportKey(s *streams, name string, nkey, private bool) ([]byte, error) {
	store, err := openKeys()
	if err != nil {
		return nil, err
	}
	if !private {
		k, err := store.Public(name)
		if err != nil {
			return nil, keyMissing(store, name, err)
		}
		if !nkey {
			return k.PEM(), nil
		}
		text, err := k.Nkey()
		return []byte(text + "\n"), err
	}
	b, err := store.Private(name)
	if err != nil {
		return nil, keyMissing(store, name, err)
	}
	k, err := openPrivateKey(s, name, b)
	if err != nil {
		return nil, err
	}
	if !nkey {
		return k.PEM()
	}
	text, err := k.Seed()
	return []byte(text + "\n"), err
}

func newKeyImport(s *streams) *cobra.Command {
	var noPassword bool
	var o signature.WriteOptions
	cmd := &cobra.Command{
		Use:   "import [flags] NAME FILE",
		Short: "Add a key from a file",
		Long: `Add a key from a file: a public key as PEM or nkey (U..., A..., ...), to verify with;
or a private key of cosign, as PEM of openssl (PKCS#8, EC, RSA), or the seed of an
nkey (SU..., SA..., ...). A private key is encrypted anew, with $` + keyPasswordVariable + `
or what is asked for; one that is encrypted is opened with the same password.

` + keyHelp,
		Example: `  ashlar key import alyssa alyssa.pub
  ashlar key import release cosign.key`,
		Args: exactArgs("NAME", "FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			name, path := args[0], args[1]
			if err := signature.CheckName(name); err != nil {
				return withCode(exitUsage, err)
			}
			b, err := signature.ReadKeyFile(path)
			if err != nil {
				return err
			}
			if public, err := signature.ParsePublicKey(b); err == nil {
				store, err := openKeys()
				if err != nil {
					return err
				}
				if err := store.AddPublic(name, public, o); errors.Is(err, fs.ErrExist) {
					return keyExists(name)
				} else if err != nil {
					return err
				}
				_, err = fmt.Fprintf(s.err, "key %s is %s (%s) in %s\n", name, public.ID(), public.Algorithm(), store.Dir)
				return err
			}
			k, err := openPrivateKey(s, path, b)
			if err != nil {
				return err
			}
			return addKey(s, name, k, noPassword, o)
		},
	}
	newKeyFlags(cmd, &noPassword, &o)
	return cmd
}
