package cli

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"net/http"
)

// landingPage is the page at dev's root: the banner, with links. It is made once; no script,
// nothing from another host, nothing of a chart.
func landingPage(d *devRuntime, o devOptions, said []string) (http.HandlerFunc, error) {
	var page bytes.Buffer
	err := landing.Execute(&page, map[string]any{"Dev": d, "Options": o.view(), "Said": said, "Next": nextCommands(d)})
	if err != nil {
		return nil, err
	}
	return func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'sha256-"+landingStyleHash+"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		_, _ = w.Write(page.Bytes())
	}, nil
}

func (o devOptions) view() map[string]any {
	return map[string]any{"Patients": o.patients, "Seed": o.seed, "Data": o.data}
}

const landingStyle = `body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}
table{border-collapse:collapse}th{text-align:left;font-weight:600;padding:.2rem 1.5rem .2rem 0;vertical-align:top;white-space:nowrap}
td{padding:.2rem 0;overflow-wrap:anywhere}code,pre{font:14px/1.5 ui-monospace,monospace}
pre{background:#f4f2ee;padding:1rem;overflow-x:auto}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#1b1b1b}pre{background:#2a2a2a}a{color:#8ab4f8}}`

var landing = template.Must(template.New("landing").Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Simulated Epic</title>
<style>` + landingStyle + `</style>
</head>
<body>
<h1>Simulated Epic</h1>
<p>{{if .Options.Data}}It serves the patients of <code>{{.Options.Data}}</code>.{{else}}It holds {{.Options.Patients}} generated patients, seed {{.Options.Seed}}; none of them is real.{{end}}
Ctrl-C in its terminal stops it.</p>
<table>
<tr><th scope="row">FHIR base</th><td><code>{{.Dev.FHIR}}</code></td></tr>
<tr><th scope="row">Without a token</th><td><a href="{{.Dev.FHIR}}/metadata?_format=json">metadata</a> ·
<a href="{{.Dev.FHIR}}/.well-known/smart-configuration">smart-configuration</a> · <a href="{{.Dev.JWKS}}">key set</a></td></tr>
<tr><th scope="row">Client id</th><td><code>{{.Dev.ClientID}}</code></td></tr>
<tr><th scope="row">Key</th><td><code>{{.Dev.Key}}</code></td></tr>
<tr><th scope="row">Group</th><td><code>{{.Dev.Group}}</code> (all patients)</td></tr>
<tr><th scope="row">CDS Hooks</th><td><a href="{{.Dev.CDS}}/cds-services">cds-services</a> (none yet)</td></tr>
<tr><th scope="row">Controls</th><td><a href="/_sim/log">log</a> · <a href="/_sim/faults">faults</a> ·
<a href="/_sim/clock">clock</a> · <a href="/_sim/knobs">knobs</a></td></tr>
</table>
{{with .Dev.Patients}}<h2>Patients with a story</h2>
<table>
{{range .}}<tr><th scope="row">{{.Name}}</th><td><code>{{.ID}}</code><br>{{.Story}}</td></tr>
{{end}}</table>
{{end}}{{with .Dev.Users}}<h2>People who can sign in</h2>
<table>
{{range .}}<tr><th scope="row">{{.Name}}</th><td><code>{{.Login}}</code>, password <code>{{.Password}}</code><br>{{.Reference}}</td></tr>
{{end}}</table>
{{end}}<h2>Apps</h2>
<table>
{{range .Dev.Apps}}<tr><th scope="row">{{.Name}}</th><td>{{.Launch}}, client id <code>{{.ClientID}}</code>{{with .RedirectURI}}<br>redirect URI <code>{{.}}</code>{{end}}{{with .LaunchURL}}<br>launch URL <code>{{.}}</code>{{end}}</td></tr>
{{end}}</table>
<h2>In a terminal</h2>
<pre>{{range .Next}}{{.}}
{{end}}</pre>
{{with .Said}}<h2>Not Epic’s way</h2>
<ul>
{{range .}}<li>{{.}}</li>
{{end}}</ul>
{{end}}</body>
</html>
`))

// landingStyleHash lets this one style sheet through the content security policy.
var landingStyleHash = func() string {
	sum := sha256.Sum256([]byte(landingStyle))
	return base64.StdEncoding.EncodeToString(sum[:])
}()
