package sim_test

import (
	"net/http"
	"testing"

	"github.com/andironhq/andiron/sim"
	"github.com/andironhq/andiron/sim/population"
)

// R1 to R4 with tokens that the pages gave, of an app with two APIs and of one with all.
func TestSignedInTokenReachesItsPatientAndItsAPIs(t *testing.T) {
	c := newClinic(t, sim.Knobs{})
	for app, rows := range map[string]map[string]int{
		"narrow-app": {
			"Patient/" + population.TheoID:                                             http.StatusOK,
			"Patient/" + population.RosalindID:                                         http.StatusNotFound,
			"Patient?_id=" + population.TheoID:                                         http.StatusForbidden,
			"Condition?patient=" + population.TheoID:                                   http.StatusForbidden,
			"Observation?category=laboratory&patient=" + population.TheoID:             http.StatusOK,
			"Observation?category=vital-signs&patient=" + population.TheoID:            http.StatusBadRequest,
			"Observation?category=laboratory,vital-signs&patient=" + population.TheoID: http.StatusOK,
		},
		"public-app": {
			"Patient/" + population.TheoID:                                  http.StatusOK,
			"Patient/" + population.RosalindID:                              http.StatusNotFound,
			"Condition?patient=" + population.TheoID:                        http.StatusOK,
			"Observation?category=vital-signs&patient=" + population.TheoID: http.StatusOK,
		},
	} {
		_, v := c.exchange(app, c.code(app, "simtheo", nil), nil)
		token, _ := v["access_token"].(string)
		for path, want := range rows {
			req, err := http.NewRequest(http.MethodGet, c.base()+"/"+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+token)
			resp, err := http.DefaultClient.Do(req)
			if p := c.result(resp, err); p.status != want {
				t.Errorf("%s by %s draws %d, want %d (%s)", path, app, p.status, want, c.reason())
			}
		}
	}
}
