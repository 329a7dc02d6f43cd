package cli

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/andironhq/andiron/sim"
)

// simAppCmd stands in for Epic's portal: the registrations of a running simulator.
func (a *app) simAppCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "app", Short: "The registrations of apps, as at Epic's portal",
		Long: `Lists and changes what the running simulated Epic knows of apps: audience, redirect URIs, key set,
secret, registered APIs. At Epic this is done at its portal, and takes effect hours later; here at
once. It is gone when the simulator ends.`,
		Annotations: map[string]string{"settings": "none", "group": "yes"},
		Args:        func(cmd *cobra.Command, args []string) error { a.current = cmd; return unknownCommand(cmd, args) },
		RunE:        func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.simAppListCmd(), a.simAppChangeCmd("add"), a.simAppChangeCmd("set"))
	return cmd
}

type simApps struct {
	Apps []sim.App `json:"apps"`
}

func (a *app) simAppListCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "The apps that the simulated Epic knows",
		Long: `Lists the registrations. Secrets are not shown.`,
		Args: a.arguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var got simApps
			if err := a.control(cmd.Context(), http.MethodGet, "apps", nil, &got); err != nil {
				return err
			}
			return a.emitApps(got.Apps)
		},
	}
	a.addConnection(cmd)
	return cmd
}

func (a *app) emitApps(list []sim.App) error {
	t := table{columns: []string{"client_id", "name", "audience", "redirect", "jwks", "apis"}}
	docs, lines := []sim.App{}, []any{}
	for _, x := range list {
		apis := "all"
		if x.APIs != nil {
			apis = fmt.Sprint(len(x.APIs))
		}
		kind := string(x.Kind)
		if kind == "" {
			kind = string(sim.Backend)
		}
		t.add(x.ClientID, x.Name, kind, strings.Join(x.RedirectURIs, " "), x.JWKSURL, apis)
		docs, lines = append(docs, x), append(lines, x)
	}
	return a.emit(t, docs, lines)
}

// appFlags are what can be registered.
type appFlags struct {
	name, audience, launch, jwks, secret, version string
	redirects, apis, origins                      []string
	public, persistent, dynamic                   bool
}

// appAudiences are the words of --for. The setting kind is something else: what a server is.
var appAudiences = map[string]sim.Kind{"backend": sim.Backend, "patients": sim.Standalone, "clinicians": sim.EHRLaunch}

func (a *app) simAppChangeCmd(verb string) *cobra.Command {
	var o appFlags
	cmd := &cobra.Command{
		Use: verb + " CLIENT-ID", Args: a.arguments(1, 1, "one CLIENT-ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.changeApp(cmd.Context(), cmd.Flags(), verb == "add", args[0], o)
		},
	}
	if verb == "add" {
		cmd.Short = "Register an app"
		cmd.Long = `Registers an app with the running simulated Epic. With --jwks-url it signs with a key, with
--client-secret it has a secret, with neither it is public.`
		cmd.Example = `  andiron sim app add my-app --for patients --redirect http://127.0.0.1:8080/callback
  andiron sim app add my-ehr-app --for clinicians --launch-url http://127.0.0.1:8080/launch \
      --redirect http://127.0.0.1:8080/callback --jwks-url http://127.0.0.1:8080/jwks.json`
	} else {
		cmd.Short = "Change the registration of an app"
		cmd.Long = `Changes what the flags name and leaves the rest. Lists (--redirect, --api, --origin) are replaced
whole; --api all registers every API.`
		cmd.Example = `  andiron sim app set my-app --redirect http://127.0.0.1:8080/callback
  andiron sim app set my-app --api 'Patient.Read (R4)' --api 'Observation.Search (Labs) (R4)'`
	}
	f := cmd.Flags()
	f.StringVar(&o.name, "name", "", "`NAME` that pages and log show")
	f.StringVar(&o.audience, "for", "", "who signs in: `AUDIENCE` patients, clinicians or backend (nobody)")
	f.StringArrayVar(&o.redirects, "redirect", nil, "redirect `URI`, to the letter; repeatable")
	f.StringVar(&o.launch, "launch-url", "", "`URL` that the EHR opens")
	f.StringVar(&o.jwks, "jwks-url", "", "`URL` of the key set that the app signs with")
	f.StringVar(&o.secret, "client-secret", "", "where the client secret is: file:PATH, env:NAME or cmd:COMMAND")
	f.BoolVar(&o.public, "public", false, "neither key nor secret")
	f.StringArrayVar(&o.apis, "api", nil, "a registered API, by `NAME` as in Epic's catalogue, or all; repeatable")
	f.StringArrayVar(&o.origins, "origin", nil, "web `ORIGIN` whose pages may read answers; repeatable")
	f.BoolVar(&o.persistent, "persistent-access", false, "give refresh tokens where offline_access is asked for")
	f.BoolVar(&o.dynamic, "dynamic", false, "let a sign-in register dynamic clients")
	f.StringVar(&o.version, "scope-version", "", "scopes as v1 or v2")
	a.addKey(f, "connection", "")
	a.addKey(f, "fhir", "")
	return cmd
}

func (a *app) changeApp(ctx context.Context, flags *pflag.FlagSet, add bool, id string, o appFlags) error {
	var got simApps
	if err := a.control(ctx, http.MethodGet, "apps", nil, &got); err != nil {
		return err
	}
	i := slices.IndexFunc(got.Apps, func(x sim.App) bool { return x.ClientID == id })
	var ids []string
	for _, x := range got.Apps {
		ids = append(ids, x.ClientID)
	}
	switch {
	case add && i >= 0:
		return usagef("there is an app %s already: andiron sim app set changes it", id)
	case !add && i < 0:
		return &usageError{text: fmt.Sprintf("there is no app %q%s", id, didYouMean(id, ids)), fix: []string{"andiron sim app list"}}
	}
	app := sim.App{ClientID: id}
	if i >= 0 {
		app = got.Apps[i]
	}
	for name, p := range map[string]*string{"name": &app.Name, "launch-url": &app.LaunchURL, "jwks-url": &app.JWKSURL, "scope-version": &app.ScopeVersion} {
		if flags.Changed(name) {
			*p = map[string]string{"name": o.name, "launch-url": o.launch, "jwks-url": o.jwks, "scope-version": o.version}[name]
		}
	}
	if flags.Changed("for") {
		kind, ok := appAudiences[o.audience]
		if !ok {
			return usagef("--for is one of: patients, clinicians, backend")
		}
		app.Kind = kind
	}
	if flags.Changed("redirect") {
		app.RedirectURIs = o.redirects
	}
	if flags.Changed("origin") {
		app.Origins = o.origins
	}
	if flags.Changed("api") {
		if app.APIs = o.apis; slices.Equal(o.apis, []string{"all"}) {
			app.APIs = nil
		}
	}
	if flags.Changed("persistent-access") {
		app.Persistent = o.persistent
	}
	if flags.Changed("dynamic") {
		app.Dynamic = o.dynamic
	}
	switch {
	case o.public && (o.secret != "" || o.jwks != ""):
		return usagef("a public app has neither key nor secret")
	case o.secret != "" && o.jwks != "":
		return usagef("an app has a key set or a secret, not both")
	case o.public:
		app.Auth, app.JWKSURL, app.JWK = sim.AuthNone, "", nil
	case o.jwks != "":
		app.Auth = sim.AuthKey
	case o.secret != "":
		secret, err := a.readSecret(ctx, reference{text: o.secret})
		if err != nil {
			return err
		}
		app.Auth, app.Secret, app.JWKSURL, app.JWK = sim.AuthSecret, secret.Reveal(), "", nil
	case app.Auth == sim.AuthSecret:
		return usagef("give --client-secret again: the simulator does not tell the secret that it has")
	}
	if err := a.control(ctx, http.MethodPost, "apps", app, &got); err != nil {
		return err
	}
	a.say("app %s is %s", id, map[bool]string{true: "registered", false: "changed"}[add])
	return nil
}
