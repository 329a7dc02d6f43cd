package sim

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
)

// stylePath is where the document of smart_style_url lies.
const stylePath = "style/smart-v1.json"

// style serves colours and fonts for apps in the EHR (SMART App Launch 2.2, Styling, experimental).
func (s *Server) style(w *recorder) {
	w.Header().Set("Cache-Control", "max-age=3600")
	w.sendJSON(http.StatusOK, "application/json", struct {
		Background string `json:"color_background"`
		Error      string `json:"color_error"`
		Highlight  string `json:"color_highlight"`
		Modal      string `json:"color_modal_backdrop"`
		Success    string `json:"color_success"`
		Text       string `json:"color_text"`
		Radius     string `json:"dim_border_radius"`
		Font       string `json:"dim_font_size"`
		Space      string `json:"dim_spacing_size"`
		Body       string `json:"font_family_body"`
		Heading    string `json:"font_family_heading"`
	}{"#f6f4f0", "#a3261a", "#a4491c", "", "#2b6b3a", "#2a2622", "6px", "15px", "16px", "system-ui, sans-serif", "system-ui, sans-serif"})
}

// pageStyle is the one style sheet of the pages.
const pageStyle = `
*{box-sizing:border-box}
body{margin:0;font:16px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif;background:#f6f4f0;color:#2a2622}
header{background:#2a2622;color:#f6f4f0;padding:14px 24px;font-weight:600}
header small{font-weight:400;opacity:.75;margin-left:10px}
main{max-width:560px;width:calc(100% - 24px);margin:28px auto;background:#fff;border:1px solid #ded8cf;border-radius:8px;padding:28px 32px}
h1{font-size:1.35rem;margin:0 0 6px}
p{margin:0 0 16px}
.quiet{color:#6b6258;font-size:.9rem}
.wrong{background:#fbeae7;border-left:4px solid #a3261a;padding:10px 14px}
label.field{display:block;font-weight:600;margin:14px 0 4px}
input[type=text],input[type=password],select{width:100%;padding:9px 11px;font:inherit;border:1px solid #b9b0a4;border-radius:6px;background:#fff}
input:focus,select:focus,button:focus{outline:3px solid #e8b48f;outline-offset:1px}
button{font:inherit;font-weight:600;padding:10px 22px;margin:20px 10px 0 0;border-radius:6px;border:1px solid #a4491c;background:#a4491c;color:#fff;cursor:pointer}
button.second{background:#fff;color:#a4491c}
.choice{display:flex;gap:10px;align-items:baseline;padding:9px 4px;border-bottom:1px solid #eee8df}
table{border-collapse:collapse;width:100%;font-size:.9rem;margin-top:8px}
th,td{text-align:left;padding:5px 8px;border-bottom:1px solid #eee8df}
td code{white-space:nowrap}
code{font-size:.9em;background:#f3efe9;padding:1px 4px;border-radius:3px}
ul{padding-left:20px;margin:0 0 16px}
details{margin:0 0 16px}
details li{font-size:.85rem;overflow-wrap:anywhere}
section{margin-top:28px;border-top:1px solid #ded8cf;padding-top:18px}
`

// pageStyleHash lets the style sheet, and no other, pass the content security policy.
var pageStyleHash = func() string {
	sum := sha256.Sum256([]byte(pageStyle))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}()
