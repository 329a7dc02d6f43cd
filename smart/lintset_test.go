package smart_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/andironhq/andiron/smart"
)

// What the linter says of a published set as a whole, of the keys that are to follow, and of where
// the assertion goes. Each case states one rule.
func TestLintOfTheWholeSet(t *testing.T) {
	made := func(alg, kid string) *smart.Key {
		t.Helper()
		key, err := smart.NewKey(alg)
		if err != nil {
			t.Fatal(err)
		}
		return key.WithID(kid)
	}
	signs, next, rsa := made(smart.ES384, "now"), made(smart.ES384, "next"), made(smart.RS384, "rsa")
	changed := func(k *smart.Key, change func(*smart.JWK)) smart.JWK {
		jwk := k.Public()
		change(&jwk)
		return jwk
	}
	for _, tt := range []struct {
		name      string
		lint      smart.Lint
		published []smart.JWK
		rule      string
		severity  smart.Severity // "": the rule is not broken
	}{
		{"both keys of a rotation are published", smart.Lint{Key: signs, Others: []*smart.Key{next}}, []smart.JWK{signs.Public(), next.Public()}, "", ""},
		{"W4: the next key is not published yet", smart.Lint{Key: signs, Others: []*smart.Key{next}}, []smart.JWK{signs.Public()}, "W4", smart.SeverityWarning},
		{"L3: the next key's id is another key's", smart.Lint{Key: signs, Others: []*smart.Key{next}}, []smart.JWK{signs.Public(), rsa.WithID("next").Public()}, "L3", smart.SeverityError},
		{"the signing key among the others counts once", smart.Lint{Key: signs, Others: []*smart.Key{signs, nil}}, []smart.JWK{signs.Public()}, "", ""},
		{"L2: two published keys share an id, not the signer's", smart.Lint{Key: signs}, []smart.JWK{signs.Public(), next.Public(), rsa.WithID("next").Public()}, "L2", smart.SeverityError},
		{"L2: a published key without an id", smart.Lint{Key: signs}, []smart.JWK{signs.Public(), changed(next, func(k *smart.JWK) { k.KeyID = "" })}, "L2", smart.SeverityWarning},
		{"L2: the signing key stands there a second time under another id", smart.Lint{Key: signs}, []smart.JWK{signs.Public(), signs.WithID("twin").Public()}, "L2", smart.SeverityError},
		{"L3: a key that is for encryption", smart.Lint{Key: signs}, []smart.JWK{signs.Public(), changed(next, func(k *smart.JWK) { k.Use = "enc" })}, "L3", smart.SeverityError},
		{"L1: alg does not fit the kind of key", smart.Lint{Key: signs}, []smart.JWK{signs.Public(), changed(next, func(k *smart.JWK) { k.Algorithm = smart.RS384 })}, "L1", smart.SeverityError},
		{"L1: alg does not fit the curve", smart.Lint{Key: signs}, []smart.JWK{signs.Public(), changed(next, func(k *smart.JWK) { k.Algorithm = "ES256" })}, "L1", smart.SeverityError},
		{"W2: the signing key has no alg", smart.Lint{Key: signs}, []smart.JWK{changed(signs, func(k *smart.JWK) { k.Algorithm = "" })}, "W2", smart.SeverityWarning},
		{"W3: ES384 without a key set URL", smart.Lint{Key: signs, Static: true}, nil, "W3", smart.SeverityWarning},
		{"RSA without a key set URL", smart.Lint{Key: rsa, Static: true}, nil, "", ""},
		{"RSA of 2048 bits for a dynamic client", smart.Lint{Key: rsa, Dynamic: true}, nil, "", ""},
		{"W6: sent through another host", smart.Lint{Audience: "https://ehr.example/token", TokenURL: "https://proxy.example/token"}, nil, "W6", smart.SeverityWarning},
		{"W6: sent to another path", smart.Lint{Audience: "https://ehr.example/token", TokenURL: "https://ehr.example/oauth2/token"}, nil, "W6", smart.SeverityWarning},
		{"sent where the audience says", smart.Lint{Audience: "https://ehr.example/token", TokenURL: "https://ehr.example/token"}, nil, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.published != nil {
				body, err := json.Marshal(smart.KeySet{Keys: tt.published})
				if err != nil {
					t.Fatal(err)
				}
				tt.lint.Published = &smart.PublishedSet{Body: body, CacheControl: "max-age=3600", ContentType: "application/json"}
			}
			findings := tt.lint.Findings()
			broken := func(f smart.Finding) bool {
				return f.Severity == smart.SeverityError || f.Severity == smart.SeverityWarning
			}
			if tt.rule == "" {
				if i := slices.IndexFunc(findings, broken); i >= 0 {
					t.Errorf("the linter finds fault where there is none: %+v", findings[i])
				}
				return
			}
			if !slices.ContainsFunc(findings, func(f smart.Finding) bool { return f.Rule == tt.rule && f.Severity == tt.severity }) {
				t.Errorf("rule %s does not say %s; the linter finds %+v", tt.rule, tt.severity, findings)
			}
		})
	}
}
