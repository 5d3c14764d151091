//! What workers ask: calls to resolve, contacts, changes and the address book.

use reqwest::Method;

use super::{Client, ClientError, encode};
use crate::directory::model::book::{
    BeginFill, Book, BookQuery, DropReceipt, FinishFill, FinishReceipt, HoldersFound,
    HoldersRequest, WriteRecords, WriteRecordsReceipt,
};
use crate::directory::model::follow::{
    FollowReceipt, FollowState, KnownNumbers, KnownRequest, PutFollow, RecordsPage, RecordsRequest,
};
use crate::directory::model::{
    AgainRequest, ClaimRequest, ClaimedCalls, DoneReceipt, DoneRequest, NumbersToAsk,
    ReleaseReceipt, ReleaseRequest, WriteContactsReceipt, WriteContactsRequest,
};

impl Client {
    /// Leases calls to resolve. Mark them done and call this again, until it returns no call.
    pub async fn claim(&self, request: &ClaimRequest) -> Result<ClaimedCalls, ClientError> {
        self.post("take calls to resolve", "v1/worker/calls/claim", request)
            .await
    }

    /// Marks calls done; at most [`MAX_BULK`](super::model::MAX_BULK) per request.
    pub async fn done(&self, request: &DoneRequest) -> Result<DoneReceipt, ClientError> {
        self.post("mark calls done", "v1/worker/calls/done", request)
            .await
    }

    /// Releases the calls that the holder has leased and not finished.
    pub async fn release(&self, request: &ReleaseRequest) -> Result<ReleaseReceipt, ClientError> {
        self.post("hand calls back", "v1/worker/calls/release", request)
            .await
    }

    /// Writes contacts; at most [`MAX_BULK`](super::model::MAX_BULK) per request.
    pub async fn write_contacts(
        &self,
        request: &WriteContactsRequest,
    ) -> Result<WriteContactsReceipt, ClientError> {
        self.post("write contacts", "v1/worker/contacts", request)
            .await
    }

    /// The numbers to ask Salesforce for again, and how many are left.
    pub async fn numbers_to_ask(
        &self,
        request: &AgainRequest,
    ) -> Result<NumbersToAsk, ClientError> {
        let action = "find the numbers to ask again";
        self.post(action, "v1/worker/numbers/again", request).await
    }

    /// How far the company has followed its org.
    pub async fn follow_state(&self) -> Result<FollowState, ClientError> {
        let action = "find out how far changes are followed";
        let url = self.url("v1/worker/follow")?;
        self.send(action, Method::GET, url, None).await
    }

    /// Keeps how far the company has followed its org.
    pub async fn put_follow(&self, request: &PutFollow) -> Result<FollowReceipt, ClientError> {
        let action = "keep how far changes are followed";
        let body = encode(action, request)?;
        let url = self.url("v1/worker/follow")?;
        self.send(action, Method::PUT, url, Some(body)).await
    }

    /// The numbers that records are about, and those of a list that the directory knows.
    pub async fn known_numbers(&self, request: &KnownRequest) -> Result<KnownNumbers, ClientError> {
        let action = "find the numbers of records";
        self.post(action, "v1/worker/follow/numbers", request).await
    }

    /// The records that contacts are from.
    pub async fn records_of_contacts(
        &self,
        request: &RecordsRequest,
    ) -> Result<RecordsPage, ClientError> {
        let action = "find the records of contacts";
        self.post(action, "v1/worker/follow/records", request).await
    }

    /// The address book, and how far its fill is.
    pub async fn book(&self) -> Result<Book, ClientError> {
        let action = "find out how far the address book is";
        let url = self.url("v1/worker/book")?;
        self.send(action, Method::GET, url, None).await
    }

    /// The same, with how many records of each kind there are: it takes a second for a million.
    pub async fn counted_book(&self) -> Result<Book, ClientError> {
        let action = "count the address book";
        let query = BookQuery { by_object: true };
        let url = self.url_with("v1/worker/book", action, &query)?;
        self.send(action, Method::GET, url, None).await
    }

    /// Begins a fill of the address book, or returns the one that is under way.
    pub async fn begin_fill(&self, request: &BeginFill) -> Result<Book, ClientError> {
        let action = "begin a fill of the address book";
        self.post(action, "v1/worker/book/fill", request).await
    }

    /// Writes records into the address book; at most [`MAX_BULK`](super::model::MAX_BULK) per
    /// request.
    pub async fn write_records(
        &self,
        request: &WriteRecords,
    ) -> Result<WriteRecordsReceipt, ClientError> {
        self.post("write records", "v1/worker/book/records", request)
            .await
    }

    /// Ends a fill of the address book; repeat it until it is done.
    pub async fn finish_fill(&self, request: &FinishFill) -> Result<FinishReceipt, ClientError> {
        let action = "end a fill of the address book";
        self.post(action, "v1/worker/book/finish", request).await
    }

    /// Takes the address book away; repeat it until it is done.
    pub async fn drop_book(&self) -> Result<DropReceipt, ClientError> {
        let action = "take the address book away";
        let url = self.url("v1/worker/book")?;
        self.send(action, Method::DELETE, url, None).await
    }

    /// The records of the address book that hold numbers.
    pub async fn holders(&self, request: &HoldersRequest) -> Result<HoldersFound, ClientError> {
        let action = "find the records of numbers";
        self.post(action, "v1/worker/book/holders", request).await
    }
}
