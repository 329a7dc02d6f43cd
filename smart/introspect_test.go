package smart_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/andironhq/andiron/smart"
)

func TestIntrospectionURL(t *testing.T) {
	for _, tt := range []struct {
		name string
		conf *smart.Configuration
		want string
	}{
		{"what discovery says", &smart.Configuration{IntrospectionEndpoint: "https://h.example/i", TokenEndpoint: "https://h.example/oauth2/token"}, "https://h.example/i"},
		{"Epic's is the sibling of the token endpoint", &smart.Configuration{TokenEndpoint: "https://h.example/x/oauth2/token"}, "https://h.example/x/oauth2/introspect"},
		{"other token endpoints have no sibling", &smart.Configuration{TokenEndpoint: "https://h.example/token"}, ""},
		{"nothing known", nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := smart.IntrospectionURL(tt.conf); got != tt.want {
				t.Errorf("the URL is %q, want %q", got, tt.want)
			}
		})
	}
}

func TestIntrospectAndRevoke(t *testing.T) {
	var seen []string
	answer, status := "", http.StatusOK
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		_, _, basic := r.BasicAuth()
		seen = append(seen, fmt.Sprintf("%s %s %s %s bearer=%t basic=%t assertion=%t", r.Method, r.URL.Path, r.PostForm.Get("token"),
			r.PostForm.Get("token_type_hint"), r.Header.Get("Authorization") == "Bearer access", basic, r.PostForm.Get("client_assertion") != ""))
		w.WriteHeader(status)
		fmt.Fprint(w, answer)
	}))
	defer srv.Close()
	conf := &smart.Configuration{TokenEndpoint: srv.URL + "/oauth2/token", RevocationEndpoint: srv.URL + "/oauth2/revoke"}
	key, err := smart.NewKey(smart.ES384)
	if err != nil {
		t.Fatal(err)
	}
	q := smart.TokenQuery{Configuration: conf, Token: smart.NewSecret("refresh"), Hint: "refresh_token", Bearer: smart.NewSecret("access")}

	t.Run("an active token says what it is", func(t *testing.T) {
		answer = `{"active":true,"scope":"patient/Patient.read","client_id":"c","username":"U","exp":1772366400,"sub":"s","iss":"i","jti":"j","epic_user_type":"WPR","patient":"p","fhirUser":"f","x":[1]}`
		got, err := smart.Introspect(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if !got.Active || got.Scope != "patient/Patient.read" || got.ClientID != "c" || got.Username != "U" || !got.Expires.Equal(time.Unix(1772366400, 0)) ||
			got.Subject != "s" || got.Issuer != "i" || got.ID != "j" || got.UserType != "WPR" || got.Patient != "p" || got.FHIRUser != "f" || string(got.Raw["x"]) != "[1]" {
			t.Errorf("read %+v", got)
		}
		if want := "POST /oauth2/introspect refresh refresh_token bearer=true basic=false assertion=false"; seen[len(seen)-1] != want {
			t.Errorf("asked %s, want %s", seen[len(seen)-1], want)
		}
	})
	t.Run("an inactive one says nothing else", func(t *testing.T) {
		answer = `{"active":false,"sub":"s"}`
		if got, err := smart.Introspect(t.Context(), q); err != nil || got.Active || got.Subject != "" {
			t.Errorf("read %+v, %v", got, err)
		}
	})
	t.Run("other answers are errors without a token in them", func(t *testing.T) {
		for _, a := range []string{"", "<html>", "{}", `{"active":"yes"}`, "null"} {
			answer = a
			if _, err := smart.Introspect(t.Context(), q); err == nil || !strings.HasPrefix(err.Error(), "smart: introspect: 200") {
				t.Errorf("for %q the error is %v", a, err)
			}
		}
		answer, status = `{"error":"invalid_token"}`, http.StatusUnauthorized
		defer func() { status = http.StatusOK }()
		if _, err := smart.Introspect(t.Context(), q); err == nil || err.Error() != "smart: introspect: invalid_token (401)" {
			t.Errorf("the error is %v", err)
		}
	})
	t.Run("without a bearer the client authenticates itself", func(t *testing.T) {
		answer = `{"active":false}`
		q := q
		q.Bearer = smart.Secret{}
		if _, err := smart.Introspect(t.Context(), q); err == nil {
			t.Error("with neither bearer nor client it must be refused here")
		}
		q.Issuer = smart.Issuer{ClientID: "c", Key: key}
		if _, err := smart.Introspect(t.Context(), q); err != nil || !strings.HasSuffix(seen[len(seen)-1], "bearer=false basic=false assertion=true") {
			t.Errorf("asked %s, %v", seen[len(seen)-1], err)
		}
	})
	t.Run("revocation is the client's", func(t *testing.T) {
		answer = ""
		q := q
		q.Issuer = smart.Issuer{ClientID: "c", Secret: smart.NewSecret("s")}
		if err := smart.Revoke(t.Context(), q); err != nil {
			t.Fatal(err)
		}
		if want := "POST /oauth2/revoke refresh refresh_token bearer=false basic=true assertion=false"; seen[len(seen)-1] != want {
			t.Errorf("asked %s, want %s", seen[len(seen)-1], want)
		}
	})
	t.Run("a revocation endpoint is never guessed", func(t *testing.T) {
		q := q
		q.Configuration = &smart.Configuration{TokenEndpoint: conf.TokenEndpoint}
		if err := smart.Revoke(t.Context(), q); !errors.Is(err, smart.ErrNotOffered) {
			t.Errorf("the error is %v", err)
		}
	})
}
