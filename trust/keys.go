package trust

import "github.com/ashlar-wasm/ashlar/signature"

// Keys returns the keys of the rule that is for an artifact, whose manifest need not be
// known. There are none if the rule, or the policy where no rule matches, decides without
// evidence; then ok is false.
func (p *Policy) Keys(a Artifact) (keys []signature.PublicKey, ok bool) {
	r := p.ruleFor(&a)
	if r == nil || r.decided {
		return nil, false
	}
	for _, k := range r.all() {
		keys = append(keys, k.Public)
	}
	return keys, true
}
