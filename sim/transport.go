package sim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// commonHeaders sets what stands on every answer (captures of 2024 and 2025, high), and the
// Date of the simulated clock.
func (s *Server) commonHeaders(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Allow-Credentials", "true")
	h.Set("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, DELETE, TRACE, OPTIONS")
	h.Set("Access-Control-Allow-Headers", "origin, authorization, accept, content-type, x-requested-with, prefer, Epic-User-ID, Epic-User-IDType, Epic-Client-ID, soapaction, Epic-MyChartUser-ID, Epic-MyChartUser-IDType")
	h.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
	h.Set("Date", s.clock.now().UTC().Format(http.TimeFormat))
}

// fhirHeaders sets what the FHIR layer adds, except on empty 403s.
func fhirHeaders(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Cache-Control", "no-cache,no-store")
	h.Set("Pragma", "no-cache")
	h.Set("Expires", "-1")
	h.Set("Servermetrics", `{"RequestTime":1,"QueueTime":0}`)
}

// format is the content type that a request is answered with: _format before Accept before
// Content-Type before the default, XML. Nothing is ever 406 (captures, high).
func (s *Server) format(r *http.Request, formatParam string) string {
	if t := formatType(formatParam); t != "" {
		return t
	}
	for _, header := range []string{"Accept", "Content-Type"} {
		for _, part := range strings.Split(r.Header.Get(header), ",") {
			if t, _, err := mime.ParseMediaType(part); err == nil && formatType(t) != "" {
				return formatType(t)
			}
		}
		if r.Header.Get(header) != "" && header == "Accept" {
			break // an Accept that names nothing known is answered with the default
		}
	}
	if s.knobs.NoAccept == "json" && r.Header.Get("Accept") == "" {
		return "application/fhir+json"
	}
	return "application/xml"
}

// formatType returns the type under which an answer to this request comes back: its own name.
func formatType(t string) string {
	switch t = strings.ToLower(strings.TrimSpace(t)); t {
	case "application/fhir+json", "application/json+fhir", "application/json",
		"application/xml", "application/fhir+xml", "application/xml+fhir", "text/xml":
		return t
	case "json":
		return "application/fhir+json"
	case "xml":
		return "application/xml"
	}
	return ""
}

// sendResource answers with a FHIR resource in the format of the request.
func (s *Server) sendResource(w *recorder, r *http.Request, status int, resource []byte) {
	s.sendAs(w, status, s.format(r, w.x.format), resource)
}

func (s *Server) sendAs(w *recorder, status int, contentType string, resource []byte) {
	fhirHeaders(w)
	if strings.Contains(contentType, "xml") {
		text, err := toXML(resource)
		if err != nil {
			// Data of the user's own that is no FHIR can still be asked for as JSON.
			text = []byte(xmlHead + `<OperationOutcome xmlns="http://hl7.org/fhir"><issue><severity value="fatal"/><code value="exception"/><diagnostics value="This resource cannot be written as XML; ask for application/fhir+json."/></issue></OperationOutcome>`)
		}
		resource = text
	}
	h := w.Header()
	h.Set("Content-Type", contentType+"; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(resource)))
	w.WriteHeader(status)
	_, _ = w.Write(resource)
}

// sendJSON answers with a document that is no FHIR resource.
func (w *recorder) sendJSON(status int, contentType string, v any) {
	body := encode(v)
	h := w.Header()
	h.Set("Content-Type", contentType+"; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// encode writes compact JSON without escaping < > &.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return []byte(`null`)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// notFoundPage is the web server's own 404, the answer where the FHIR layer is never reached:
// unknown types, searches of types without search, system-level operations, other versions of
// FHIR. XHTML 1.0 Strict of 1,245 bytes (captures, high).
func (s *Server) notFoundPage(w *recorder) {
	h := w.Header()
	h.Set("Content-Type", "text/html")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(page404)))
	w.x.Reason = "no such path"
	w.WriteHeader(http.StatusNotFound)
	_, _ = w.Write([]byte(page404))
}

const page404Size = 1245

// page404 has the shape of the recorded page; the text is ours.
var page404 = func() string {
	const head = `<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd">
<html xmlns="http://www.w3.org/1999/xhtml">
<head>
<meta http-equiv="Content-Type" content="text/html; charset=iso-8859-1"/>
<title>404 - File or directory not found.</title>
<style type="text/css">
<!--
body { margin: 0; font-family: Verdana, Arial, sans-serif; font-size: .7em; background: #eee; }
h1 { margin: 0; padding: 6px 2%; font-size: 2.4em; color: #fff; background: #555; }
h2 { margin: 0; font-size: 1.7em; color: #c00; }
h3 { margin: 10px 0 0 0; font-size: 1.2em; color: #000; }
#content { margin: 0 0 0 2%; position: relative; }
.box { background: #fff; width: 96%; margin-top: 8px; padding: 10px; position: relative; }
-->
</style>
</head>
<body>
<div id="header"><h1>Server Error</h1></div>
<div id="content">
 <div class="box"><fieldset>
  <h2>404 - File or directory not found.</h2>
  <h3>What you asked for is not here: it was moved, renamed, or never existed.</h3>
 </fieldset></div>
</div>
`
	const tail = "</body>\n</html>\n"
	return head + strings.Repeat(" ", page404Size-len(head)-len(tail)) + tail
}()

// methodNotAllowed answers a verb that the path does not know (medium).
func (s *Server) methodNotAllowed(w *recorder, r *http.Request) {
	body := fmt.Sprintf("The requested resource does not support http method '%s'.", clip(r.Method))
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.x.Reason = "method not allowed"
	w.WriteHeader(http.StatusMethodNotAllowed)
	_, _ = w.Write([]byte(body))
}
