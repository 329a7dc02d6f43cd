package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/andironhq/andiron/epic"
	"github.com/andironhq/andiron/smart"
)

// sheetOptions are what an app's registration depends on.
type sheetOptions struct {
	environment, audience, path        string
	reads                              []string
	scope                              string
	bulk, public, persistent           bool
	redirect, launchURL, jwks, appName string
}

func (a *app) registrationCmd() *cobra.Command {
	var o sheetOptions
	cmd := &cobra.Command{
		Use: "registration [NAME]", GroupID: "connect",
		Short: "The sheet for Epic's portal and for the health system",
		Long: `Prints what is needed to register an app at fhir.epic.com and to bring it live at a health system:
the form's fields with their answers, the fewest APIs and scopes for what the app reads, who does
what and how long that takes, and what must be true before the first sign-in. Markdown, to be sent
on; -o json for programs. NAME is a connection, whose addresses are filled in; none is needed.

What the app reads is given as types, with a category where not all of the type is read. Ask for
no more than that: sites look at it.`,
		Example: `  andiron registration --read Patient,Observation:laboratory,Condition > sheet.md
  andiron registration mercy --for production --audience backend --read Patient,Encounter --bulk`,
		Args: a.arguments(0, 1, "one NAME of a connection"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var c *connection
			if len(args) > 0 {
				var err error
				if c, err = a.named(args[0]); err != nil {
					return err
				}
			}
			return a.registration(cmd.Context(), c, o, cmd.Flags().Changed)
		},
		ValidArgsFunction: a.completeConnections,
	}
	f := cmd.Flags()
	f.StringVar(&o.environment, "for", "sandbox", "environment: sandbox or production")
	f.StringVar(&o.audience, "audience", "patients", "who uses the app: patients, clinicians or backend (default: the connection's launch)")
	f.StringVar(&o.path, "path", "vendor", "whose app it is: vendor, or home-grown (the health system's own)")
	f.StringSliceVar(&o.reads, "read", nil, "`TYPE[:CATEGORY],…` that the app reads")
	f.StringVar(&o.scope, "scope", "", "`SCOPES` that the app asks for now, to be compared with what it needs")
	f.BoolVar(&o.bulk, "bulk", false, "the app exports groups")
	f.BoolVar(&o.public, "public", false, "the app keeps neither key nor secret, as in a browser or on a phone")
	f.BoolVar(&o.persistent, "persistent", false, "access outlasts the visit (offline_access)")
	f.StringVar(&o.redirect, "redirect-uri", "", "the app's redirect `URI`")
	f.StringVar(&o.launchURL, "launch-url", "", "the `URL` that the EHR opens")
	f.StringVar(&o.jwks, "jwks", "", "`URL` of the app's key set")
	f.StringVar(&o.appName, "name", "", "the app's `NAME`, for the heading")
	return cmd
}

// sheet is a registration as it is printed.
type sheet struct {
	Name        string              `json:"name"`
	For         string              `json:"for"`
	FHIR        string              `json:"fhir,omitempty"`
	ClientID    string              `json:"client_id,omitempty"`
	RedirectURI string              `json:"redirect_uri,omitempty"`
	LaunchURL   string              `json:"launch_url,omitempty"`
	JWKS        string              `json:"jwks,omitempty"`
	Sheet       epic.Registration   `json:"registration"`
	APIs        []epic.API          `json:"apis"`
	Scopes      []string            `json:"scopes"`
	Notes       []string            `json:"notes"`
	Broader     []smart.Finding     `json:"broader"`
	Ready       []registrationCheck `json:"ready"`
}

// registrationCheck is one thing that must be true before the first sign-in.
type registrationCheck struct {
	State string `json:"state"` // ok, fail, or unknown: to be looked at by people
	Text  string `json:"text"`
}

var audiences = map[string]epic.Audience{
	"patients": epic.AudiencePatients, "clinicians": epic.AudienceClinicians, "backend": epic.AudienceBackend,
}

func (a *app) registration(ctx context.Context, c *connection, o sheetOptions, changed func(string) bool) error {
	if c != nil && !changed("audience") {
		o.audience = map[string]string{launchBackend: "backend", launchStandalone: "patients", launchEHR: "clinicians"}[c.Launch]
	}
	if c != nil && !changed("for") && c.Kind == "production" {
		o.environment = "production"
	}
	audience, ok := audiences[o.audience]
	switch {
	case !ok:
		return usagef("--audience is one of: patients, clinicians, backend")
	case o.environment != "sandbox" && o.environment != "production":
		return usagef("--for is one of: sandbox, production")
	case o.path != string(epic.PathVendor) && o.path != string(epic.PathHomeGrown):
		return usagef("--path is one of: vendor, home-grown")
	case o.public && audience == epic.AudienceBackend:
		return usagef("a backend app always has a key: --public does not go with it")
	}
	s := sheet{
		Name: o.appName, For: o.environment, RedirectURI: o.redirect, LaunchURL: o.launchURL, JWKS: o.jwks,
		APIs: []epic.API{}, Scopes: []string{}, Notes: []string{}, Broader: []smart.Finding{}, Ready: []registrationCheck{},
	}
	if c != nil {
		s.FHIR, s.ClientID = c.FHIR, c.ClientID
		if s.Name == "" {
			s.Name = c.title()
		}
		if s.JWKS == "" {
			s.JWKS = c.JWKS
		}
		if s.RedirectURI == "" && c.Launch != launchBackend {
			s.RedirectURI = c.RedirectURI
		}
		if o.scope == "" {
			o.scope = c.Scope
		}
		o.persistent = o.persistent || c.Persistent
		o.bulk = o.bulk || c.Group != "" && audience == epic.AudienceBackend
		if !changed("public") && c.Launch != launchBackend {
			o.public = c.Key.text == "" && c.Secret.text == ""
		}
	}
	if s.Name == "" {
		s.Name = "the app"
	}
	var err error
	s.Sheet, err = epic.NewRegistration(epic.Plan{
		Audience: audience, Path: epic.Path(o.path), Production: o.environment == "production",
		Confidential: !o.public, Persistent: o.persistent, Bulk: o.bulk,
	})
	if err != nil {
		return usagef("%s", strings.TrimPrefix(err.Error(), "epic: "))
	}
	if len(o.reads) > 0 || o.bulk {
		access, err := epic.APIsFor(epic.Needs{Reads: o.reads, Audience: audience, Bulk: o.bulk})
		var need *epic.NeedError
		if errors.As(err, &need) {
			text := fmt.Sprintf("--read %s: %s", need.Read, need.Reason)
			if need.Nearest != "" {
				text += fmt.Sprintf("; did you mean %q?", need.Nearest)
			}
			return usagef("%s", text)
		}
		if err != nil {
			return usagef("%s", strings.TrimPrefix(err.Error(), "epic: "))
		}
		s.APIs, s.Scopes = access.APIs, access.Scopes
		s.Notes = append(s.Notes, access.Notes...)
	}
	if o.scope != "" {
		kind := map[string]smart.LaunchKind{"patients": smart.LaunchStandalone, "clinicians": smart.LaunchEHR, "backend": smart.LaunchBackend}[o.audience]
		lint := smart.ScopeLint{Asked: smart.ParseScopes(o.scope), Launch: kind, Public: o.public}
		if len(s.Scopes) > 0 {
			lint.Declared = smart.ParseScopes(strings.Join(s.Scopes, " "))
		}
		s.Broader = append(s.Broader, lint.Findings()...)
	}
	s.Ready = a.readiness(ctx, c, s, o)
	if a.format() != "table" && a.format() != "csv" {
		return a.emit(table{}, s, nil)
	}
	_, err = fmt.Fprint(a.out, s.markdown())
	return err
}

// readiness runs what can be looked at from here, and leaves the rest to people.
func (a *app) readiness(ctx context.Context, c *connection, s sheet, o sheetOptions) []registrationCheck {
	var list []registrationCheck
	add := func(state, text string) { list = append(list, registrationCheck{state, text}) }
	if s.RedirectURI != "" {
		switch {
		case checkRedirect(s.RedirectURI) != nil:
			add(epic.CheckFail, "the redirect URI must be a whole URL without #")
		case o.environment == "production" && !strings.HasPrefix(s.RedirectURI, "https://"):
			add(epic.CheckFail, "the redirect URI must be https in production")
		default:
			add(epic.CheckOK, "the redirect URI has a form that can be registered")
		}
	}
	if s.JWKS != "" {
		d := &examination{a: a, c: &connection{JWKS: s.JWKS, Kind: "production"}, ctx: ctx}
		d.fetchSet()
		switch {
		case d.setErr != nil:
			add(epic.CheckFail, "the key set cannot be fetched from here: "+strings.TrimPrefix(d.setErr.Error(), "smart: key set: "))
		case !strings.HasPrefix(s.JWKS, "https://"):
			add(epic.CheckFail, "the key set URL must be https at Epic")
		default:
			add(epic.CheckOK, fmt.Sprintf("the key set answers from here, with %s", count(len(d.publishedKeys()), "key", "keys")))
		}
	}
	if c != nil && c.FHIR != "" {
		conf, err := smart.Discover(ctx, nil, c.FHIR)
		switch {
		case err != nil:
			add(epic.CheckFail, "discovery does not answer at the FHIR base")
		case conf.TokenEndpoint == "":
			add(epic.CheckFail, "the server names no token endpoint")
		default:
			add(epic.CheckOK, "discovery answers at the FHIR base")
		}
	}
	for _, f := range s.Sheet.Checks {
		add(epic.CheckUnknown, f.Text)
	}
	return list
}

func (s sheet) markdown() string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	cell := func(text string) string { return strings.ReplaceAll(plain(text), "|", "\\|") }
	p("# Registration of %s: %s\n", plain(s.Name), s.For)
	p("%s, %s. An app is made at fhir.epic.com under Build Apps; it gets a non-production and a\nproduction client id at once.\n", s.Sheet.Audience, map[epic.Path]string{
		epic.PathVendor: "an app of a vendor", epic.PathHomeGrown: "an app of the health system's own (home-grown)",
	}[s.Sheet.Path])
	p("| for the form | |\n|---|---|")
	for _, row := range [][2]string{
		{"FHIR base", s.FHIR},
		{"client id (" + map[string]string{"sandbox": "non-production", "production": "production"}[s.For] + ")", s.ClientID},
		{"redirect URI", s.RedirectURI},
		{"launch URL", s.LaunchURL},
		{"JWK Set URL", s.JWKS},
	} {
		if row[1] != "" {
			p("| %s | `%s` |", row[0], cell(row[1]))
		}
	}
	for _, f := range s.Sheet.Fields {
		freezes := ""
		if f.Freezes && s.Sheet.Production {
			freezes = " (cannot be changed later)"
		}
		p("| %s | %s%s: %s |", cell(f.Name), cell(f.Answer), freezes, cell(f.Fact.Text))
	}
	p("\n## APIs, and no more\n")
	if len(s.APIs) == 0 {
		p("Say what the app reads (--read Patient,Observation:laboratory), and the fewest APIs stand here.")
	}
	for _, api := range s.APIs {
		p("- %s", api.Name)
	}
	for _, n := range s.Notes {
		p("\n%s", sentence(n))
	}
	if len(s.Scopes) > 0 {
		p("\nScopes to ask for:\n\n```\n%s\n```", strings.Join(s.Scopes, " "))
	}
	if len(s.Broader) > 0 {
		p("\n## What is asked for now\n")
		for _, f := range s.Broader {
			text := f.Text
			if f.Instead != "" {
				text += "; instead: `" + f.Instead + "`"
			}
			p("- %s", plain(text))
		}
	}
	p("\n## Who does what, and how long it takes\n\n| | who | what | takes |\n|---|---|---|---|")
	for i, st := range s.Sheet.Steps {
		p("| %d | %s | %s | %s |", i+1, st.Who, cell(st.What), cell(st.Takes.Text))
	}
	p("\n## Before the first sign-in\n")
	for _, state := range []string{epic.CheckFail, epic.CheckUnknown, epic.CheckOK} {
		for _, c := range s.Ready {
			if c.State == state {
				p("- [%s] %s", map[string]string{epic.CheckOK: "x", epic.CheckFail: " ", epic.CheckUnknown: " "}[state],
					map[string]string{epic.CheckFail: "**to mend:** "}[state]+plain(c.Text))
			}
		}
	}
	p("\n## Good to know\n")
	for _, f := range s.Sheet.Facts {
		p("- %s", sentence(f.Text))
	}
	if slices.ContainsFunc(s.Sheet.Steps, func(st epic.Step) bool { return st.Takes.Guides != "" }) {
		p("\nWhere integration guides say otherwise:\n")
		for _, st := range s.Sheet.Steps {
			if st.Takes.Guides != "" {
				p("- on \"%s\" they say: %s; the record: %s (%s confidence)", plain(st.What), st.Takes.Guides, st.Takes.Text, st.Takes.Confidence)
			}
		}
	}
	return b.String()
}
