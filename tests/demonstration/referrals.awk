# SPDX-License-Identifier: Apache-2.0
# Spreads TOTAL referrals over London's boroughs in proportion to the offences
# recorded there (largest remainders), and prints them for `hub import`.
# Invented people; the boroughs' weights are real.
BEGIN { FS = ","; OFS = "," }
/^#/ || /^gss/ { next }
{
    name[++boroughs] = $2; weight[boroughs] = $3; sum += $3
}
END {
    for (i = 1; i <= boroughs; i++) {
        share = TOTAL * weight[i] / sum
        count[i] = int(share); rest[i] = share - count[i]; given += count[i]
    }
    while (given < TOTAL) {
        best = 1
        for (i = 2; i <= boroughs; i++) if (rest[i] > rest[best]) best = i
        count[best]++; rest[best] = -1; given++
    }
    split("met_police self_victim prison_omu probation_vlo witness_care", source, " ")
    split("post_sentence_custody no_cj_process post_sentence_community pre_sentence_other on_licence", stage, " ")
    split("robbery burglary_dwelling violence_with_injury theft_person criminal_damage_arson fraud", offence, " ")
    split("Amara Ben Carla Dev Ella Femi Grace Hugo Iris Jonas", first, " ")
    split("Adeyemi Brook Clarke Doyle Evans Farah Green Hill Islam Jones", last, " ")
    print "source", "stage", "received", "initiated_by", "offence", "offence_borough", "victim.name", "victim.residence_borough", "offender.name"
    for (i = 1; i <= boroughs; i++) for (j = 1; j <= count[i]; j++) {
        n++
        print source[n % 5 + 1], stage[n % 5 + 1], DAY, "victim", offence[n % 6 + 1], \
            "\"" name[i] "\"", first[n % 10 + 1] " " last[int(n / 10) % 10 + 1], \
            "\"" name[i] "\"", first[(n * 7 + 3) % 10 + 1] " " last[(n * 3 + 5) % 10 + 1]
    }
}
