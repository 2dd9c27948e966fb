import { Page, show } from "../parts/Page";
import { text } from "../strings";

show(<Page title={text.dashboard.title}>{text.loading}</Page>);
