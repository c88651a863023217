package main

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
)

// patience is for how long credentials are tried that the provider refuses: the
// engine signs again with what it has learned of the provider's clock, and what
// no second try mends waits for a person.
const patience = 10 * time.Second

// refusedText says what only a person can do about refused credentials.
const refusedText = "the provider refuses these credentials: look at AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or the --profile, at --region, and at this machine's clock"

// search returns an error if the AWS settings name no credentials at all. Any
// other trouble with them may pass, as where a role is to be assumed and the
// network is down, and is left to the engine. It takes five seconds at most.
func (p *provider) search(ctx context.Context) error {
	// This machine's role, as a cloud tells it, is what the SDK asks for where it
	// has found nothing.
	if !aws.IsCredentialsProvider(p.credentials, &ec2rolecreds.Provider{}) {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if _, err := p.credentials.Retrieve(limited); err == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	return errors.New("no AWS credentials were found: export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or choose a --profile that has some")
}
