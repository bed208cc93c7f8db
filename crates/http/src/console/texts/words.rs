//! The words of answers as sentences: what could not be done as asked, and why an item is on a page. The server writes
//! reasons in English; for other languages they are written here, from their codes and what they cite.

use accrue_serve::{Degraded, Reason, ReasonCode};

use super::Texts;

/// What could not be done, in English and in Chinese.
fn degraded_in_both(word: Degraded) -> [&'static str; 2] {
    match word {
        Degraded::ColdUser => {
            ["nothing is known of the shopper, so this is what is popular", "对该购物者一无所知，因此显示热门商品"]
        }
        Degraded::EmptyCatalogue => ["the shop has no item yet", "商店还没有商品"],
        Degraded::FewCandidates => {
            ["fewer items than asked for are on sale and pass the filter", "在售且符合筛选条件的商品少于请求的数量"]
        }
        Degraded::NoImpressions => ["no impression was learned from yet", "尚未从任何展示中学习"],
        Degraded::FewImpressions => ["few impressions or clicks were learned from yet", "从中学习的展示或点击还很少"],
        Degraded::UnknownItems => ["the shop does not know the items of the page", "商店不认识页面所涉及的商品"],
        Degraded::TooDeep => ["the page reaches beyond the end of the list", "页面超出了列表的末尾"],
        Degraded::NoNeighbours => [
            "no shopper chose anything together with this item, so descriptions decide",
            "没有人把其他商品与它一起选择，因此只按描述比较",
        ],
        Degraded::UnknownScene => {
            ["there is no scene of this name, and one of a similar name", "没有这个名称的场景，但有名称相近的场景"]
        }
        Degraded::SeenPinned => {
            ["the scene decides what is done with items chosen before", "对以前选择过的商品如何处理由场景决定"]
        }
        Degraded::SourceUnavailable => ["the model of a source does not learn", "某个来源的模型没有在学习"],
        Degraded::CandidatesCut => {
            ["the sources found more candidates than the scene takes", "来源找到的候选商品多于场景允许的数量"]
        }
        Degraded::FilterCut => {
            ["the filter would read more texts than one page may", "过滤条件需要读取的文本超出了一个页面的上限"]
        }
        Degraded::DiversityCut => ["the page reaches beyond the places that are diversified", "页面超出了多样化的位置"],
        Degraded::NoPrices => ["no candidate has the price that the scene weighs by", "没有候选商品具有场景所用的价格"],
        Degraded::SponsoredWithheld => [
            "one address asked for so many pages that this one has no sponsored items",
            "同一地址请求的页面过多，因此本页没有赞助商品",
        ],
        Degraded::CapsUnmet => {
            ["nothing that the caps of the scene allow was left for a place", "某个位置已没有符合场景上限的商品"]
        }
        Degraded::StaleIndex => ["the search index is not up to date", "搜索索引不是最新的"],
        Degraded::LearnedOrderOff => [
            "what choices taught about the order made it worse, so it is not used",
            "从选择中学到的排序反而变差，因此未使用",
        ],
        Degraded::NoEncoder => ["the encoder is not ready, so words alone decide", "编码器尚未就绪，因此只按词语搜索"],
        Degraded::NoVectors => {
            ["the items have no vectors yet, so words alone decide", "商品还没有向量，因此只按词语搜索"]
        }
        Degraded::LateEncoder => {
            ["the query was not encoded in time, so words alone decide", "查询未能及时编码，因此只按词语搜索"]
        }
        Degraded::FailedEncoder => {
            ["the query could not be encoded, so words alone decide", "查询无法编码，因此只按词语搜索"]
        }
        Degraded::UnknownLanguage => ["the encoder does not know the words of the query", "编码器不认识查询中的词语"],
    }
}

/// Why an item is on a page, in Chinese; `{}` is the item that is cited.
fn reason_in_chinese(code: ReasonCode) -> &'static str {
    match code {
        ReasonCode::BecauseOfEvent => "因为您选择过{}",
        ReasonCode::ChosenBefore => "您以前选择过",
        ReasonCode::Popular => "受其他购物者欢迎的程度",
        ReasonCode::NewItem => "上架时间",
        ReasonCode::Circumstances => "在此类页面上、由此类购物者选择的程度",
        ReasonCode::RestOfHistory => "您其余的历史",
        ReasonCode::NoHistory => "对您的喜好还一无所知",
        ReasonCode::Diversity => "使页面更多样",
        ReasonCode::Exploration => "位置由随机抽取决定",
        ReasonCode::Catalogue => "来自商店的其余商品",
        ReasonCode::NewToYou => "为您没有买过的商品保留的位置",
        ReasonCode::ChosenTogether => "其他购物者一起选择",
        ReasonCode::DescribedAlike => "描述相似",
        ReasonCode::Lexical => "与搜索词相符",
        ReasonCode::SimilarMeaning => "含义相近",
        ReasonCode::Taste => "符合喜好",
        ReasonCode::ChosenAfterSearch => "多位购物者在此搜索后选择",
        ReasonCode::ShownOften => "经常展示但未被选择",
        ReasonCode::LearnedOrder => "从搜索后的选择中学到",
        ReasonCode::Rule => "商店的规则",
        ReasonCode::Sponsored => "推广",
        ReasonCode::Value => "预期价值",
    }
}

/// What the shopper did, in Chinese.
fn verb_in_chinese(event_type: &str) -> &'static str {
    match event_type {
        "view" => "看过",
        "click" => "点击过",
        "favorite" => "收藏过",
        "cart" => "加入过购物车",
        "purchase" => "买过",
        "rating" => "评价过",
        _ => "选择过",
    }
}

impl Texts {
    fn is_chinese(&self) -> bool {
        self.tag.starts_with("zh")
    }

    /// A word of `degraded` as a sentence; the word itself if it is none of those of pages and searches.
    pub fn degraded_sentence<'w>(&self, word: &'w str) -> &'w str {
        let known = Degraded::ALL.iter().find(|known| known.name() == word);
        known.map_or(word, |known| degraded_in_both(*known)[usize::from(self.is_chinese())])
    }

    /// A reason as a sentence; `title` is that of the item which it cites.
    pub fn reason_sentence(&self, reason: &Reason, title: Option<&str>) -> String {
        let code = ReasonCode::ALL.iter().find(|code| code.name() == reason.code);
        let Some(code) = code.filter(|_| self.is_chinese()) else { return reason.text.to_string() };
        let verb = reason.event.as_ref().map_or("选择过", |event| verb_in_chinese(&event.event_type));
        let text = reason_in_chinese(*code).replace("选择过", verb);
        text.replace("{}", &title.map(|title| format!("“{title}”")).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{EN, ZH};
    use super::*;

    #[test]
    fn every_word_of_an_answer_is_a_sentence_in_each_language() {
        for word in Degraded::ALL {
            let [english, chinese] = [&EN, &ZH].map(|texts| texts.degraded_sentence(word.name()));
            assert!(english.contains(' ') && !chinese.is_ascii(), "{english} {chinese}");
        }
        assert_eq!(EN.degraded_sentence("events_ignored"), "events_ignored");
    }

    #[test]
    fn reasons_are_told_in_the_language_of_the_page() {
        let (code, text) = ("because_of_event", "because you bought Cup".to_owned());
        let mut reason = Reason { code, text, item: None, event: None, share: 1.0 };
        assert_eq!(EN.reason_sentence(&reason, Some("Cup")), "because you bought Cup");
        assert_eq!(ZH.reason_sentence(&reason, Some("Cup")), "因为您选择过“Cup”");
        for code in ReasonCode::ALL {
            reason.code = code.name();
            assert!(!ZH.reason_sentence(&reason, None).is_ascii());
        }
    }
}
