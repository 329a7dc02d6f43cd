package smart_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/andironhq/andiron/smart"
)

func TestScopeLint(t *testing.T) {
	tests := []struct {
		name     string
		asked    string
		declared string
		launch   smart.LaunchKind
		public   bool
		config   *smart.Configuration
		want     string // rule: text => instead
	}{
		{name: "a careful list", asked: "launch/patient openid fhirUser patient/Patient.rs patient/Observation.rs?category=" + labs, declared: "patient/Patient.rs patient/Observation.rs?category=" + labs, launch: smart.LaunchStandalone},
		{name: "version 1 needs no more than version 2", asked: "launch openid patient/Patient.read", declared: "patient/Patient.rs", launch: smart.LaunchEHR},
		{name: "S1: every type", asked: "launch/patient patient/*.rs", want: "S1: patient/*.rs asks for every type => "},
		{name: "S1 and S10: every type where two were declared", asked: "launch/patient patient/*.read", declared: "patient/Patient.read patient/Observation.read", want: "S1: patient/*.rs asks for every type => patient/Observation.read patient/Patient.read; S10: patient/*.rs is more than the declared needs => patient/Observation.read patient/Patient.read"},
		{name: "S1 alone: every type was declared", asked: "user/*.rs", declared: "user/*.rs", want: "S1: user/*.rs asks for every type => user/*.rs"},
		{name: "S2: writes", asked: "user/Task.cruds", declared: "user/Task.rs", want: "S2: user/Task.cruds asks to write (cud), and no need to write was declared => user/Task.rs"},
		{name: "no S2: a declared write", asked: "user/Task.rsu", declared: "user/Task.rsu", want: "S11: user/Task.rsu has letters in an order or case that servers may refuse => user/Task.rus"},
		{name: "S3: two versions", asked: "user/Task.read user/Task.u", want: "S3: Task is asked for in version 1 and version 2 => user/Task.rus"},
		{name: "S4: fhirUser", asked: "fhirUser", want: "S4: fhirUser without openid tells nothing => fhirUser openid"},
		{name: "S5: launch", asked: "openid patient/Patient.rs", launch: smart.LaunchEHR, want: "S5: launch is missing in an EHR launch => launch openid patient/Patient.rs"},
		{name: "S6: no context", asked: "patient/Patient.read", launch: smart.LaunchStandalone, want: "S6: patient/ scopes without launch or launch/patient: there may be no patient => launch/patient patient/Patient.read"},
		{name: "S7: offline and public", asked: "openid offline_access", public: true, want: "S7: offline_access for a public client: Epic gives it no refresh token => openid"},
		{name: "S8: online and standalone", asked: "openid online_access", launch: smart.LaunchStandalone, want: "S8: online_access in a standalone launch: there is no session of the EHR that it could follow => openid"},
		{name: "S9: a need without scope", asked: "user/Patient.rs", declared: "user/Patient.rs user/Observation.rs", want: "S9: user/Observation.rs is needed, and nothing that is asked for covers it => user/Observation.rs user/Patient.rs"},
		{name: "S10: a type that nobody needs", asked: "user/Patient.rs user/Task.rs", declared: "user/Patient.rs", want: "S10: user/Task.rs is more than the declared needs => "},
		{name: "S10: no filter where one is enough", asked: "user/Observation.rs", declared: "user/Observation.rs?category=a", want: "S10: user/Observation.rs is more than the declared needs => user/Observation.rs?category=a"},
		{name: "S10: search where reading is enough", asked: "user/Binary.rs", declared: "user/Binary.r", want: "S10: user/Binary.rs is more than the declared needs => user/Binary.r"},
		{name: "S11: no resource scope", asked: "user/patient.rs", want: `S11: "user/patient.rs" is no resource scope => `},
		{name: "S11: letters out of order", asked: "user/Task.sr", want: "S11: user/Task.sr has letters in an order or case that servers may refuse => user/Task.rs"},
		{name: "S12: a server of version 1", asked: "user/Task.rs", config: &smart.Configuration{Capabilities: []string{"permission-v1"}}, want: "S12: the server lists scopes of version 1 alone => user/Task.read"},
		{name: "no S12: a server that does not say", asked: "user/Task.rs", config: &smart.Configuration{}},
		{name: "S13: a person's level for a program", asked: "user/Task.rs", launch: smart.LaunchBackend, want: "S13: a program without a person gets system/ scopes alone => system/Task.rs"},
		{name: "S13: a program's level for a person", asked: "launch system/Task.rs", launch: smart.LaunchEHR, want: "S13: system/ scopes are for programs without a person => "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := smart.ScopeLint{Asked: smart.ParseScopes(tt.asked), Launch: tt.launch, Public: tt.public, Configuration: tt.config}
			if tt.declared != "" {
				l.Declared = smart.ParseScopes(tt.declared)
			}
			var got []string
			for _, f := range l.Findings() {
				if f.Severity != smart.SeverityWarning {
					t.Errorf("%s is %s, want a warning", f.Rule, f.Severity)
				}
				got = append(got, f.Rule+": "+f.Text+" => "+f.Instead)
			}
			if s := strings.Join(got, "; "); s != tt.want {
				t.Errorf("asked %q, declared %q: found\n%s, want\n%s", tt.asked, tt.declared, s, tt.want)
			}
		})
	}
}

// What a lint proposes must not be found fault with for the same reason.
func TestWhatScopeLintProposesIsBetter(t *testing.T) {
	for _, asked := range []string{
		"fhirUser", "patient/*.read", "patient/Patient.read user/Task.u user/Task.read", "offline_access online_access openid patient/Patient.sr",
	} {
		l := smart.ScopeLint{Asked: smart.ParseScopes(asked), Declared: smart.ParseScopes("patient/Patient.rs"), Launch: smart.LaunchStandalone, Public: true}
		for _, f := range l.Findings() {
			if f.Instead == "" {
				continue
			}
			better := l
			better.Asked = smart.ParseScopes(f.Instead)
			for _, g := range better.Findings() {
				if g.Rule == f.Rule && g.Text == f.Text {
					t.Errorf("%q: in place of %s %q it proposes %q, of which it says the same", asked, f.Rule, f.Text, f.Instead)
				}
			}
		}
	}
}

// Integration guides ask for everything; the application reads two types.
func ExampleScopeLint() {
	l := smart.ScopeLint{
		Asked:    smart.ParseScopes("openid fhirUser launch/patient patient/*.read"),
		Declared: smart.ParseScopes("patient/Patient.read patient/Observation.read"),
		Launch:   smart.LaunchStandalone,
	}
	for _, f := range l.Findings() {
		fmt.Println(f.Rule, f.Text)
		fmt.Println("   ask for:", f.Instead)
	}
	// Output:
	// S1 patient/*.rs asks for every type
	//    ask for: patient/Observation.read patient/Patient.read
	// S10 patient/*.rs is more than the declared needs
	//    ask for: patient/Observation.read patient/Patient.read
}
