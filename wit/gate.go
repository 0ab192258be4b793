package wit

import (
	"slices"
)

// include reports whether an item with that gate is kept. A version in a gate
// must have been released by the package's own version.
func (p *packageResolver) include(s Stability, at span) (bool, error) {
	switch {
	case s.Since != "":
		if p.pkg.Name.Version == "" {
			return false, at.errorf("package `%s` contains a feature gate with a version, so it must have a version", p.pkg.Name)
		}
		if CompareVersions(s.Since, p.pkg.Name.Version) > 0 {
			if p.earlier {
				return false, nil
			}
			return false, at.errorf("feature gate can't name the unreleased version %s of package `%s`", s.Since, p.pkg.Name)
		}
	case s.Unstable != "":
		return p.opts.AllFeatures || slices.Contains(p.opts.Features, s.Unstable), nil
	}
	return true, nil
}

// gate reads the attributes of an item and decides whether it is kept.
func (p *packageResolver) gate(attrs []attr, at span) (s Stability, externalID string, keep bool, err error) {
	s, externalID, err = attributes(attrs)
	if err == nil {
		keep, err = p.include(s, at)
	}
	return s, externalID, keep, err
}

func attributes(attrs []attr) (s Stability, externalID string, err error) {
	seen := map[attrKind]span{}
	names := [...]string{"@since", "@unstable", "@deprecated", "@external-id"}
	for _, a := range attrs {
		if _, dup := seen[a.kind]; dup {
			return s, "", a.span.errorf("%s can't be given twice", names[a.kind])
		}
		seen[a.kind] = a.span
		switch a.kind {
		case attrSince:
			s.Since = a.value
		case attrUnstable:
			s.Unstable = a.value
		case attrDeprecated:
			s.Deprecated = a.value
		case attrExternalID:
			externalID = a.value
		}
	}
	switch {
	case s.Since != "" && s.Unstable != "":
		return s, "", seen[attrSince].errorf("@since and @unstable can't be given together")
	case s.Deprecated != "" && s.Since == "" && s.Unstable == "":
		return s, "", seen[attrDeprecated].errorf("@deprecated needs @since or @unstable beside it")
	}
	return s, externalID, nil
}
