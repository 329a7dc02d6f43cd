// Package simtest puts a simulated Epic into one line of a test, over real HTTP on loopback,
// with a client that is registered, signed in and allowed everything.
//
//	epic := simtest.Start(t)
//	c := epic.Backend(t)
//	patient, err := fhir.Read[r4.Patient](t.Context(), c, epic.Patient)
//
// # Signing people in
//
// [Epic.AddApp] registers an app that signs people in, [Epic.Launch] opens it as the EHR does, and
// [Epic.Browser] walks through sign-in, choice of a patient and consent, without scripts.
//
// # When things go wrong
//
// [Epic.Fail] plays a fault, [Epic.Advance] moves the clock that server and client share,
// [Epic.Requests] tells what was asked and why the simulator refused.
//
// # Other settings
//
// [StartServer] takes a server of one's own: other knobs, another size, data from a folder.
// Everything ends with the test. What the simulator does not model stands in package sim.
package simtest
