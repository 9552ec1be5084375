"""Texts are decoded as they were written, in whatever encoding that was."""

# ruff: noqa: RUF001 - other alphabets have letters that look like ours

import time

import pytest

from services.collection.worker.extraction.formats.decoding import decode

# Sentences as people write them, by encoding; some are short.
_SENTENCES = {
    "cp1252": [
        "Les élèves ont mangé des crêpes à la crème brûlée près de la forêt, où l’été s’achève.",
        "Voilà déjà l'été à Orléans.",
        "Où êtes-vous allés pendant les vacances de Noël ? À la maison, c'était très agréable.",
        "Die Prüfung der Geräte erfolgt jährlich; größere Schäden müssen unverzüglich gemeldet werden.",
        "Schöne Grüße aus München.",
        "Für Übungen gibt es Äpfel, Öl und Straßenkarten.",
        "El niño comió piñas en la montaña; mañana vendrá su tía María con más café.",
        "¿Cuántos años tienes? ¡Qué alegría!",
        "A organização da reunião não está concluída; as ações serão discutidas amanhã.",
        "São Paulo não é a capital do país.",
        "La città è più bella perché c'è il sole; così andrò là.",
        "“Quoted” text – with dashes — and an ellipsis… costs 5 €",
        "Blåbærsyltetøy på brødskiven smaker godt om høsten, sier Øystein fra Ålesund.",
        "Det är förbjudet att röka på sjukhuset, säger läkaren från Malmö.",
        "naïve café résumé",
        "Curaçao",
    ],
    "cp1250": [
        "Zażółć gęślą jaźń, powiedział pan Łukasz, a dzieci poszły do szkoły wcześniej niż zwykle.",
        "Dzień dobry, chciałbym kupić książkę o historii Polski i średniowiecznych miastach.",
        "Příliš žluťoučký kůň úpěl ďábelské ódy, řekl učitel ve třídě.",
        "Dobrý den, můžete mi prosím říct, kde je nádraží? Děkuji a přeji hezký večer.",
        "Árvíztűrő tükörfúrógép, mondta a vendég, és őszintén nevetett az egész társaság.",
    ],
    "cp1251": [
        "Съешь же ещё этих мягких французских булок, да выпей чаю.",
        "Привет, мир!",
        "Договор аренды квартиры заключён на один год и может быть продлён по соглашению сторон.",
        "Україна — держава в Східній Європі, столиця якої місто Київ.",
    ],
    "koi8-r": [
        "Съешь же ещё этих мягких французских булок, да выпей чаю.",
        "Договор аренды квартиры заключён на один год и может быть продлён по соглашению сторон.",
        "Привет, мир! Как дела сегодня?",
    ],
    "shift_jis": [
        "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。",
        "会議は明日の午後三時から始まります。",
        "東京タワーへ行きました。",
    ],
    "euc-jp": [
        "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。",
        "会議は明日の午後三時から始まります。",
        "東京タワーへ行きました。",
    ],
    "gb18030": [
        "人工智能正在改变我们的生活方式，尤其是在医疗和教育领域。",
        "你好，世界！今天天气很好。",
        "本合同自双方签字之日起生效，有效期为两年。",
    ],
    "big5": [
        "人工智慧正在改變我們的生活方式，尤其是在醫療和教育領域。",
        "臺北的天氣今天很好，我們一起去公園散步。",
        "本合約自雙方簽署之日起生效，有效期為兩年。",
    ],
    "euc-kr": [
        "인공지능은 우리의 생활 방식을 바꾸고 있습니다. 특히 의료와 교육 분야에서 그렇습니다.",
        "안녕하세요, 세계!",
        "회의는 내일 오후 세 시에 시작합니다.",
    ],
    "utf-16": [
        "Ein kurzer Satz.",
        "Привет, мир!",
        "吾輩は猫である。名前はまだ無い。",
    ],
    "utf-16-le": [
        "Ein kurzer Satz mit Umlauten: größer.",
        "Привет, мир! Как дела?",
        "吾輩は猫である。 名前はまだ無い。\n",
    ],
    "utf-16-be": [
        "Ein kurzer Satz mit Umlauten: größer.",
        "Привет, мир! Как дела?",
    ],
    "iso-2022-jp": [
        "吾輩は猫である。名前はまだ無い。",
    ],
    "iso-8859-1": [
        "Les élèves ont mangé des crêpes à la forêt.",
        "Gemäß § 3 Abs. 2 gilt für Österreich: 20 °C ± 2.",
    ],
    "iso-8859-2": [
        "Zażółć gęślą jaźń, powiedział pan Łukasz, a dzieci poszły do szkoły wcześniej niż zwykle.",
        "Příliš žluťoučký kůň úpěl ďábelské ódy, řekl učitel ve třídě.",
    ],
    "iso-8859-15": [
        "Le prix est de 25 € pour un œuf cœur de bœuf à l'été.",
    ],
    "cp1253": [
        "Η Αθήνα είναι η πρωτεύουσα της Ελλάδας και η μεγαλύτερη πόλη της χώρας.",
    ],
    "cp1254": [
        "İstanbul'da hava bugün çok güzel; öğleden sonra Boğaz'a gideceğiz, şimdi çıkıyoruz.",
    ],
    "cp1255": [
        "שלום עולם, מה שלומך היום? זהו משפט ארוך יותר בעברית.",
    ],
    "cp1256": [
        "مرحبا بالعالم، كيف حالك اليوم؟ هذه جملة أطول باللغة العربية.",
    ],
}
_CASES = [(encoding, text) for encoding, texts in _SENTENCES.items() for text in texts]


@pytest.mark.parametrize(("encoding", "text"), _CASES)
def test_a_sentence_is_decoded_as_it_was_written(encoding: str, text: str) -> None:
    """Alone, many times over, and as a quotation in English, which is what notes look like."""
    for whole in (text, "\n".join([text] * 30), f"An introduction in English, and a quotation:\n{text}\n"):
        assert decode(whole.encode(encoding)) == whole


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (
            b"Gr\xc3\xb6\xc3\x9fe, \xc3\x9cbung, \xff and \xc3\xa4\xc3\xb6\xc3\xbc",
            "Gr\u00f6\u00dfe, \u00dcbung, \ufffd and \u00e4\u00f6\u00fc",
        ),
        ("\ufeffmarked".encode(), "marked"),
        (b"plain", "plain"),
        ("cut off \u00e9\u00e9\u00e9\u00e9\u00e9\u00e9".encode()[:-1], "cut off \u00e9\u00e9\u00e9\u00e9\u00e9\ufffd"),
        ("wide words".encode("utf-16"), "wide words"),
        (b"", ""),
    ],
)
def test_a_few_damaged_bytes_do_not_change_the_encoding(content: bytes, text: str) -> None:
    """They are replaced one by one."""
    assert decode(content) == text


def test_a_large_text_takes_no_longer_than_its_beginning() -> None:
    """The encoding is told from a sample."""
    start = time.process_time()
    assert decode("Les \u00e9l\u00e8ves \u00e0 la for\u00eat. ".encode("cp1252") * 400_000).count("\u00ea") == 400_000
    assert time.process_time() - start < 5
