package packages

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// SetRegistry writes into a configuration file where the packages of a namespace, one
// package (namespace:name), or all others ("default") are: in a registry, by its name, or
// in a folder, which becomes a registry. The rest of the file stays as it is; what is not
// there is made. It returns the name of the registry.
func SetRegistry(file, what, registry string) (name string, err error) {
	path := []string{"namespace_registries", what}
	switch {
	case what == "default":
		path = []string{"default_registry"}
	case strings.Contains(what, ":"):
		if _, err := ParseRef(what); err != nil {
			return "", err
		}
		path[0] = "package_registry_overrides"
	default:
		if err := checkLabel(what); err != nil {
			return "", fmt.Errorf("namespace %q: %w", what, err)
		}
	}
	folder := ""
	if name = registry; IsFolder(registry) {
		if folder, err = filepath.Abs(registry); err != nil {
			return "", err
		}
		name = folderRegistry(folder)
	}
	if name, err = ParseRegistry(name); err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		return "", err
	}
	if folder != "" {
		config, err := ReadConfig(file)
		if errors.Is(err, fs.ErrNotExist) {
			config, err = &Config{}, nil
		}
		if err != nil {
			return "", err
		}
		if old, ok := config.Registries[name]; ok {
			if root, err := old.LocalRoot(); err != nil || root != folder {
				return "", fmt.Errorf("%s has a registry %s already, which is another: give the folder a name there by hand", file, name)
			}
		} else if _, err := rewriteTOML(file, []string{"registry", name, "local"}, "{ root = "+tomlString(folder)+" }", maxConfig); err != nil {
			return "", err
		}
	}
	_, err = rewriteTOML(file, path, tomlString(name), maxConfig)
	return name, err
}

// folderRegistry is a name for the registry that is a folder.
func folderRegistry(folder string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, filepath.Base(folder))
	return name + ".local"
}
