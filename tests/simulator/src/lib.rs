//! Salesforce, played.
