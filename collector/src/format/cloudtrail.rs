//! Records of AWS CloudTrail: one JSON object per line, as they stand in the list `Records` of its files.

use canh_schema::Event;

use super::json::mark;
use super::{Context, Fit, Format, Text};
use crate::source::cloudtrail;

/// CloudTrail's record.
pub(super) struct CloudTrail;

impl Format for CloudTrail {
    fn name(&self) -> &'static str {
        "cloudtrail"
    }

    fn about(&self) -> &'static str {
        "record of AWS CloudTrail, one JSON object with `eventSource`, `eventName` and `awsRegion` per line"
    }

    fn samples(&self) -> &'static [&'static str] {
        &[
            r#"{"eventVersion":"1.08","userIdentity":{"type":"IAMUser","principalId":"AIDAEXAMPLE","arn":"arn:aws:iam::123456789012:user/quantri","accountId":"123456789012","accessKeyId":"AKIAEXAMPLE","userName":"quantri"},"eventTime":"2026-11-22T08:31:48Z","eventSource":"iam.amazonaws.com","eventName":"CreateUser","awsRegion":"ap-southeast-1","sourceIPAddress":"203.0.113.9","userAgent":"aws-cli/2.17","requestParameters":{"userName":"minh"},"responseElements":{"user":{"userName":"minh","path":"/"}},"requestID":"a1","eventID":"6c1f0f6e-57a0-4e43-9d5e-2f1a3b1c8d01","readOnly":false,"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"123456789012","eventCategory":"Management"}"#,
            r#"{"eventVersion":"1.08","userIdentity":{"type":"Root","principalId":"123456789012","arn":"arn:aws:iam::123456789012:root","accountId":"123456789012"},"eventTime":"2026-11-22T08:32:00Z","eventSource":"signin.amazonaws.com","eventName":"ConsoleLogin","awsRegion":"us-east-1","sourceIPAddress":"198.51.100.7","userAgent":"Mozilla/5.0","errorMessage":"Failed authentication","requestParameters":null,"responseElements":{"ConsoleLogin":"Failure"},"additionalEventData":{"MFAUsed":"No"},"eventID":"6c1f0f6e-57a0-4e43-9d5e-2f1a3b1c8d02","readOnly":false,"eventType":"AwsConsoleSignIn","recipientAccountId":"123456789012","eventCategory":"Management"}"#,
            r#"{"eventVersion":"1.08","userIdentity":{"type":"AssumedRole","principalId":"AROAEXAMPLE:i-0a1b","arn":"arn:aws:sts::123456789012:assumed-role/motcua/i-0a1b","accountId":"123456789012","sessionContext":{"sessionIssuer":{"type":"Role","userName":"motcua"}}},"eventTime":"2026-11-22T08:33:00Z","eventSource":"s3.amazonaws.com","eventName":"GetObject","awsRegion":"ap-southeast-1","sourceIPAddress":"ec2.amazonaws.com","userAgent":"aws-sdk-java","errorCode":"AccessDenied","errorMessage":"Access Denied","requestParameters":{"bucketName":"ho-so","key":"a.pdf"},"responseElements":null,"eventID":"6c1f0f6e-57a0-4e43-9d5e-2f1a3b1c8d03","readOnly":true,"eventType":"AwsApiCall","recipientAccountId":"123456789012","eventCategory":"Data"}"#,
        ]
    }

    fn decode(&self, text: &mut Text<'_>, context: &Context<'_>, event: &mut Event) -> Fit {
        match text.json(context) {
            Some(json) if json.has(mark::AWS_SOURCE | mark::AWS_NAME | mark::AWS_REGION) => (),
            _ => return Fit::No,
        }
        let Some(json) = text.take_json(context) else { return Fit::No };
        json.into_event(event);
        cloudtrail::apply(event, context);
        Fit::Yes
    }
}
