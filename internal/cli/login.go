package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/ashlar-wasm/ashlar/oci"
)

func newLogin(s *streams) *cobra.Command {
	var r registries
	var user string
	var fromStdin, identity bool
	cmd := &cobra.Command{
		Use:   "login [flags] HOST",
		Short: "Check and store a credential for an OCI registry",
		Long: `Check a credential with an OCI registry, and store it where Docker does: in the
credential helper that its config.json names, or else in that file ($DOCKER_CONFIG
or ~/.docker). What is asked for on the terminal is not shown.`,
		Example: `  ashlar login registry.example
  ashlar login -u alyssa --password-stdin registry.example <password.txt`,
		Args: exactArgs("HOST"),
		RunE: func(c *cobra.Command, args []string) error {
			host, err := oci.ParseRegistry(args[0])
			if err != nil {
				return withCode(exitUsage, err)
			}
			cred, err := readCredential(s, user, fromStdin, identity)
			if err != nil {
				return err
			}
			r.artifactCache.flag = cacheOff
			return r.client(s, maxFile, func(client *oci.Client) error {
				where, plaintext, err := client.Login(c.Context(), host, cred)
				if err != nil {
					return err
				}
				if plaintext {
					fmt.Fprintf(s.err, "ashlar: the credential is stored unencrypted in %s; a credential helper would keep it safe\n", where)
				}
				_, err = fmt.Fprintf(s.out, "logged in to %s\n", host)
				return err
			})
		},
	}
	r.flags(cmd)
	cmd.Flags().StringVarP(&user, "username", "u", "", "name of the user")
	cmd.Flags().BoolVar(&fromStdin, "password-stdin", false, "read the password or token from standard input")
	cmd.Flags().BoolVar(&identity, "identity-token", false, "what is read is an identity token, for which there is no user name")
	return cmd
}

func newLogout(s *streams) *cobra.Command {
	return &cobra.Command{
		Use:     "logout HOST",
		Short:   "Remove the stored credential for an OCI registry",
		Long:    "Remove the credential for an OCI registry from where 'ashlar login' stores it.",
		Example: "  ashlar logout registry.example",
		Args:    exactArgs("HOST"),
		RunE: func(c *cobra.Command, args []string) error {
			host, err := oci.ParseRegistry(args[0])
			if err != nil {
				return withCode(exitUsage, err)
			}
			had, err := oci.Logout(c.Context(), host)
			if err != nil {
				return err
			}
			if !had {
				return fmt.Errorf("there is no credential for %s", host)
			}
			_, err = fmt.Fprintf(s.out, "logged out of %s\n", host)
			return err
		},
	}
}

// readCredential asks for what the flags do not say.
func readCredential(s *streams, user string, fromStdin, identity bool) (oci.Credential, error) {
	var cred oci.Credential
	if identity && user != "" {
		return cred, usageError("--identity-token and --username exclude one another")
	}
	terminal, ok := s.terminal()
	var secret string
	var err error
	switch {
	case fromStdin:
		if user == "" && !identity {
			return cred, usageError("--password-stdin needs --username or --identity-token")
		}
		secret, err = readSecret(s.in)
	case ok:
		if user == "" && !identity {
			fmt.Fprint(s.err, "Username: ")
			if user, err = bufio.NewReader(terminal).ReadString('\n'); err != nil {
				return cred, fmt.Errorf("read user name: %w", err)
			}
			user = strings.TrimSpace(user)
		}
		secret, err = askSecret(s.err, terminal, "Password: ")
	default:
		return cred, usageError("standard input is no terminal: give the password with --password-stdin")
	}
	if err != nil {
		return cred, fmt.Errorf("read password: %w", err)
	}
	if secret == "" {
		return cred, errors.New("the password is empty")
	}
	if identity {
		return oci.Credential{IdentityToken: secret}, nil
	}
	return oci.Credential{Username: user, Password: secret}, nil
}

// readSecret reads a secret, without the end of its line.
func readSecret(r io.Reader) (string, error) {
	const limit = 64 << 10
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return "", err
	}
	if len(b) > limit {
		return "", fmt.Errorf("longer than %d bytes", limit)
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r"), nil
}

// askSecret asks for a secret on a terminal, which does not show it.
func askSecret(w io.Writer, terminal *os.File, prompt string) (string, error) {
	fd := int(terminal.Fd())
	state, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	// An interrupt must not leave the terminal mute.
	interrupts, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(interrupts, os.Interrupt)
	defer func() {
		signal.Stop(interrupts)
		close(done)
	}()
	go func() {
		select {
		case <-interrupts:
			_ = term.Restore(fd, state)
			fmt.Fprintln(w)
			os.Exit(exitFailure)
		case <-done:
		}
	}()
	fmt.Fprint(w, prompt)
	b, err := term.ReadPassword(fd)
	fmt.Fprintln(w)
	return string(b), err
}
