// Creates, updates and deletes a record with go-ovh, with the settings of the environment.
package main

import (
	"fmt"
	"log"

	"github.com/ovh/go-ovh/ovh"
)

type record struct {
	ID        int64  `json:"id,omitempty"`
	FieldType string `json:"fieldType,omitempty"`
	SubDomain string `json:"subDomain,omitempty"`
	Target    string `json:"target,omitempty"`
}

func check(failure error) {
	if failure != nil {
		log.Fatal(failure)
	}
}

func main() {
	client, failure := ovh.NewDefaultClient()
	check(failure)
	var me map[string]interface{}
	check(client.Get("/me", &me))
	records := "/domain/zone/example.org/record"
	made := record{}
	check(client.Post(records, record{0, "A", "new", "192.0.2.77"}, &made))
	one := fmt.Sprintf("%s/%d", records, made.ID)
	check(client.Put(one, record{Target: "192.0.2.78"}, nil))
	changed := record{}
	check(client.Get(one, &changed))
	check(client.Delete(one, nil))
	gone := client.Get(one, nil).(*ovh.APIError)
	fmt.Println(me["nichandle"], changed.Target, gone.Code)
}
