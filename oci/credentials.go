package oci

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
)

// Credential is what a registry knows its user by. The zero value is anonymous.
type Credential struct {
	Username string
	Password string
	// IdentityToken is exchanged for access tokens.
	IdentityToken string
	// AccessToken is sent to the registry as it is.
	AccessToken string
}

// String keeps secrets from being printed.
func (c Credential) String() string {
	switch {
	case c == Credential{}:
		return "anonymous"
	case c.Username != "":
		return "user " + c.Username
	default:
		return "a token"
	}
}

// GoString is [Credential.String].
func (c Credential) GoString() string { return c.String() }

// CredentialFunc finds the credential for a registry. It may be called by many
// goroutines at once.
type CredentialFunc func(ctx context.Context, registry string) (Credential, error)

// Environment variables that hold a credential for one registry, whose host the
// first of them names: it is sent to no other.
const (
	envRegistry      = "ASHLAR_OCI_REGISTRY"
	envUsername      = "ASHLAR_OCI_USERNAME"
	envPassword      = "ASHLAR_OCI_PASSWORD"
	envToken         = "ASHLAR_OCI_TOKEN"
	envIdentityToken = "ASHLAR_OCI_IDENTITY_TOKEN"
)

// FindCredential finds credentials where people have them: in the environment
// (ASHLAR_OCI_REGISTRY says for which host, and ASHLAR_OCI_USERNAME and
// ASHLAR_OCI_PASSWORD, ASHLAR_OCI_TOKEN, or ASHLAR_OCI_IDENTITY_TOKEN are what it
// gets), in Docker's config.json with the credential helpers that it names, and in
// Podman's auth.json.
func FindCredential(ctx context.Context, registry string) (Credential, error) {
	if c, ok, err := environmentCredential(registry); ok || err != nil {
		return c, err
	}
	store, err := credentialStore()
	if err != nil {
		return Credential{}, err
	}
	c, err := store.Get(ctx, credentials.ServerAddressFromRegistry(registry))
	if err != nil {
		return Credential{}, fmt.Errorf("find a credential for %s: %w", registry, err)
	}
	return Credential{c.Username, c.Password, c.RefreshToken, c.AccessToken}, nil
}

func environmentCredential(registry string) (Credential, bool, error) {
	c := Credential{os.Getenv(envUsername), os.Getenv(envPassword), os.Getenv(envIdentityToken), os.Getenv(envToken)}
	host := os.Getenv(envRegistry)
	switch {
	case c == Credential{}:
		return c, false, nil
	case host == "":
		return Credential{}, false, fmt.Errorf("there is a credential in the environment, but %s does not say for which registry", envRegistry)
	case !strings.EqualFold(host, registry):
		return Credential{}, false, nil
	}
	return c, true, nil
}

// dockerStore is where Docker keeps credentials. With detect, that is the helper of
// the system if there is one and nothing was stored yet: to look there for what
// nobody stored could only fail.
func dockerStore(detect bool) (*credentials.DynamicStore, error) {
	store, err := credentials.NewStoreFromDocker(credentials.StoreOptions{AllowPlaintextPut: true, DetectDefaultNativeStore: detect})
	if err != nil {
		return nil, fmt.Errorf("read Docker's credentials: %w", err)
	}
	return store, nil
}

// credentialStore is Docker's, and behind it Podman's.
func credentialStore() (credentials.Store, error) {
	store, err := dockerStore(false)
	if err != nil {
		return nil, err
	}
	path := os.Getenv("REGISTRY_AUTH_FILE")
	if dir := os.Getenv("XDG_RUNTIME_DIR"); path == "" && dir != "" {
		path = filepath.Join(dir, "containers", "auth.json")
	}
	if _, err := os.Stat(path); path == "" || err != nil {
		return store, nil
	}
	podman, err := credentials.NewStore(path, credentials.StoreOptions{})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return credentials.NewStoreWithFallbacks(store, podman), nil
}

// Login checks a credential with a registry and stores it in Docker's config.json,
// or in the credential helper that it names. It returns where, and whether it
// stands there unencrypted.
func (c *Client) Login(ctx context.Context, registry string, cred Credential) (where string, plaintext bool, err error) {
	if cred == (Credential{}) {
		return "", false, errors.New("there is nothing to log in with")
	}
	if c.offline {
		return "", false, ErrOffline
	}
	c.secrets.add(registry, cred)
	login := *c.auth
	login.Cache = auth.NewCache()
	login.Credential = func(context.Context, string) (auth.Credential, error) { return cred.oras(), nil }
	r, err := remote.NewRegistry(registry)
	if err != nil {
		return "", false, err
	}
	r.Client = &login
	if r.PlainHTTP, err = c.schemes.isPlain(ctx, registry); err != nil {
		return "", false, err
	}
	if err := r.Ping(ctx); err != nil {
		return "", false, fmt.Errorf("log in to %s: %w", registry, c.registryError(err))
	}
	store, err := dockerStore(true)
	if err != nil {
		return "", false, err
	}
	address := credentials.ServerAddressFromRegistry(registry)
	if err := store.Put(ctx, address, cred.oras()); err != nil {
		return "", false, fmt.Errorf("store the credential for %s: %w", registry, c.redact(err))
	}
	// A helper leaves no credential in the file.
	file, err := credentials.NewFileStore(store.ConfigPath())
	if err != nil {
		return "", false, fmt.Errorf("read Docker's credentials: %w", err)
	}
	stored, err := file.Get(ctx, address)
	return store.ConfigPath(), err == nil && stored != auth.EmptyCredential, nil
}

// Logout removes the credential for a registry from where [Client.Login] stores
// it. It reports whether there was one.
func Logout(ctx context.Context, registry string) (bool, error) {
	store, err := dockerStore(false)
	if err != nil {
		return false, err
	}
	address := credentials.ServerAddressFromRegistry(registry)
	had, err := store.Get(ctx, address)
	if err != nil {
		return false, fmt.Errorf("find the credential for %s: %w", registry, err)
	}
	if had == auth.EmptyCredential {
		return false, nil
	}
	if err := store.Delete(ctx, address); err != nil {
		return false, fmt.Errorf("remove the credential for %s: %w", registry, err)
	}
	return true, nil
}

func (c Credential) oras() auth.Credential {
	return auth.Credential{Username: c.Username, Password: c.Password, RefreshToken: c.IdentityToken, AccessToken: c.AccessToken}
}
